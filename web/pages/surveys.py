"""`/jobs/{id}/survey`: what a job found out about a project before a clean start."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from web import addresses, words
from web.answers.stored_surveys import survey_of
from web.answers.strategy import STRATEGIES, Recommended, Surveyed
from web.answers.survey import Survey, SurveyedHistory, SurveyedModels, SurveyedStart
from web.dashboard import Board, OneJob, Store, on_job
from web.errors import NotFound
from web.pages.jobs import project_link
from web.pages.presenting import environments, project_actions
from web.pages.shell import Framed
from web.pages.views.marks import EnvironmentRef, Fact, Link, Mark, Status
from web.pages.views.survey import SurveyedRow, SurveyPage

router = APIRouter()


@router.get("/jobs/{job}/survey", dependencies=[on_job("view")])
async def show(board: Board, store: Store, frame: Framed, job: OneJob) -> HTMLResponse:
    """The recommendation with its reasons, and everything that it stands on."""
    found = await survey_of(store, job.id)
    if found is None or found.surveyed_at is None:
        raise NotFound(f"Job {job.id} surveyed nothing.", hint="Survey from the project's page.")
    way, reasons = found.way
    models, account = _models(found)
    known = environments(board.configuration)
    view = SurveyPage(
        project=job.project,
        title=board.configuration.projects[job.project].title
        if job.project in board.configuration.projects
        else job.project,
        mark=Mark("ahead", "A clean start is recommended")
        if way == "clean start"
        else Mark("ok", "The history can be kept"),
        reasons=reasons,
        surveyed_at=found.surveyed_at,
        rows=tuple(
            _row(each, chosen, known.get(f"{job.project}/{each.environment}"), job.project)
            for each, chosen in found.strategies
        ),
        history=tuple(_history(found.history, found.builds)),
        unseen=found.history.unseen,
        inserted=found.history.inserted,
        start=found.start.first if found.start else (),
        starting=_starting(found.start),
        models=models,
        models_account=account,
        keeps=found.keeps,
        actions=project_actions(
            board.kinds, "surveyed project", frame.who, job.project, primary=way == "clean start"
        ),
    )
    return frame.show(
        "surveys/show.html",
        view,
        here="Survey",
        section="jobs",
        crumbs=(
            Link("Overview", addresses.overview()),
            project_link(board, job),
            Link(f"Job {job.id}", addresses.job(job.id)),
        ),
        project=job.project,
    )


def _row(seen: Surveyed, chosen: Recommended, ref: EnvironmentRef | None, project: str) -> SurveyedRow:
    status: Status = "ok" if seen.drift == "none" and not seen.pending and not seen.unknown else "warn"
    return SurveyedRow(
        ref or EnvironmentRef(project, seen.environment, seen.tier),
        Mark("down", seen.words) if not seen.reachable else Mark(status, seen.words),
        words.size(seen.size) if seen.size is not None else "size not known",
        f"about {words.estimate(seen.rows)} rows" if seen.rows is not None else "rows not known",
        datetime.fromisoformat(seen.last_write) if seen.last_write else None,
        STRATEGIES[chosen.strategy],
        chosen.reasons,
    )


def _history(history: SurveyedHistory, builds: tuple[int, ...]) -> Iterator[Fact]:
    yield Fact("Migrations", str(history.migrations))
    yield Fact("Ends at", ", ".join(history.heads) or "nothing", mono=True)
    if history.oldest is not None:
        revision, created = history.oldest
        yield Fact("Begins with", f"{revision}{f', {words.written(created)}' if created else ''}")
    if history.seconds is not None:
        yield Fact("From empty to head", words.duration(history.seconds))
    if history.refusal is not None:
        yield Fact("From empty to head", f"It cannot be run: {history.refusal}")
    if history.problems:
        yield Fact("Remarks", " ".join(history.problems))
    if builds:
        yield Fact("Newest builds", ", ".join(f"#{number}" for number in builds[:5]))


def _starting(start: SurveyedStart | None) -> Mark | None:
    if start is None:
        return None
    if not start.count:
        return Mark("ok", "Nothing migrates at start-up")
    return Mark("warn", f"{words.plural(start.count, 'place')} may migrate at start-up")


def _models(found: Survey) -> tuple[Mark | None, str]:
    models: SurveyedModels | None = found.models
    if models is None:
        return None, ""
    if models.refusal is not None:
        return Mark("unknown", "Not compared"), models.refusal
    if not models.differences:
        return Mark("ok", "The models say what the migrations give"), ""
    total = sum(count for _, count in models.differences)
    kinds = ", ".join(words.plural(count, kind) for kind, count in models.differences)
    unmodelled = f" No model knows {', '.join(models.unmodelled[:10])}." if models.unmodelled else ""
    return Mark("warn", f"The models differ in {words.plural(total, 'place')}"), f"{kinds}.{unmodelled}"
