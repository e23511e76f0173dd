"""Surveys as they are kept under the jobs that made them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from web.answers.survey import Survey
from web.store.kept import Kept, keep, kept_by, newest_kept
from web.store.tables import RunRow, SurveyRow


async def store_survey(connection: AsyncConnection, job_id: int, survey: Survey) -> None:
    """Keep a survey under the job that made it."""
    await keep(connection, SurveyRow, job_id, survey.project, survey.to_store())


async def survey_of(connection: AsyncConnection, job_id: int) -> Survey | None:
    """What a job surveyed; None: it surveyed nothing."""
    return _survey(await kept_by(connection, SurveyRow, job_id))


async def newest_survey(connection: AsyncConnection, project: str) -> Survey | None:
    """The newest survey of a project; None: there is none."""
    return _survey(await newest_kept(connection, SurveyRow, project))


def _survey(row: Kept | None) -> Survey | None:
    return Survey.from_store(row.content, row.job_id, row.made_at) if row is not None else None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A project that was surveyed, and whose clean start has not come to an end since."""

    survey: Survey
    #: Who has begun one that goes on, and when; None: nobody.
    begun_by: str | None = None
    begun_at: datetime | None = None


async def read_candidates(connection: AsyncConnection) -> dict[str, Candidate]:
    """By project, those whose clean start goes on, or is recommended by the newest survey; in one query."""
    query = (
        select(SurveyRow.__table__, RunRow.begun_by, RunRow.begun_at, RunRow.ended)
        .outerjoin(
            RunRow,
            (RunRow.project == SurveyRow.project)
            & or_(RunRow.ended_at.is_(None), RunRow.ended_at > SurveyRow.made_at),
        )
        .ext(distinct_on(SurveyRow.project))
        .order_by(SurveyRow.project, SurveyRow.job_id.desc(), RunRow.id.desc())
    )
    found = {}
    for row in await connection.execute(query):
        survey = Survey.from_store(row.content, row.job_id, row.made_at)
        goes_on = row.begun_at is not None and row.ended is None
        if goes_on or (row.ended is None and survey.way[0] == "clean start"):
            found[row.project] = Candidate(survey, row.begun_by, row.begun_at)
    return found
