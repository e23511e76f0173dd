"""Surveys as they are kept under the jobs that made them."""

from __future__ import annotations

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.answers.survey import Survey
from web.store.tables import SurveyRow


async def store_survey(connection: AsyncConnection, job_id: int, survey: Survey) -> None:
    """Keep a survey under the job that made it."""
    await connection.execute(
        insert(SurveyRow).values(job_id=job_id, project=survey.project, content=survey.to_store())
    )


async def survey_of(connection: AsyncConnection, job_id: int) -> Survey | None:
    """What a job surveyed; None: it surveyed nothing."""
    row = (
        await connection.execute(select(SurveyRow.__table__).where(SurveyRow.job_id == job_id))
    ).one_or_none()
    return Survey.from_store(row.content, row.job_id, row.made_at) if row is not None else None


async def newest_survey(connection: AsyncConnection, project: str) -> Survey | None:
    """The newest survey of a project; None: there is none."""
    query = (
        select(SurveyRow.__table__)
        .where(SurveyRow.project == project)
        .order_by(SurveyRow.job_id.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).one_or_none()
    return Survey.from_store(row.content, row.job_id, row.made_at) if row is not None else None
