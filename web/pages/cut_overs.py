"""`/jobs/{id}/cut-over`: what migrates besides this dashboard; `…/tasks/{form}`: what replaces it."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.config import Configuration
from web.cutover.application_role import CheckedRole
from web.cutover.findings import WHENS, Finding, Scan, When
from web.cutover.stored_scans import CutOver, cut_over_of
from web.cutover.tasks import FORMS, form_of, make_task
from web.dashboard import Board, OneJob, Store, on_job
from web.errors import CleanStartError, NotFound
from web.jobs.reading import JobRecord
from web.pages.jobs import project_link
from web.pages.presenting import error_view, project_actions
from web.pages.shell import Framed
from web.pages.views.cut_over import CutOverPage, FoundGroup, FoundPlace, ShownFile, ShownTask
from web.pages.views.errors import ErrorView
from web.pages.views.marks import Check, Link, Mark
from web.remedies.change_set import ChangedFile, ChangeSet

router = APIRouter()

TITLES: dict[When, str] = {
    "start-up": "At start-up",
    "deployment": "In deployments and pipelines",
    "by hand": "By hand",
}


@router.get("/jobs/{job}/cut-over", dependencies=[on_job("view")])
async def show(board: Board, store: Store, frame: Framed, job: OneJob) -> HTMLResponse:
    """The places, by when they run."""
    found = await _found(store, job)
    assert found.made_at is not None
    project = board.configuration.projects.get(job.project)
    tasks, refusal = _tasks(board.configuration, job)
    view = CutOverPage(
        job=job.id,
        project=job.project,
        title=project.title if project is not None else job.project,
        mark=_mark(found.scan),
        files=found.scan.files,
        made_at=found.made_at,
        groups=tuple(_groups(found.scan)),
        skipped=tuple((each.path, each.reason) for each in found.scan.skipped),
        further=found.scan.further,
        roles=tuple(map(_role, found.roles)),
        tasks=tasks,
        no_tasks=refusal,
        actions=project_actions(board.kinds, "cut over", frame.who, job.project),
    )
    return frame.show(
        "cut_overs/show.html",
        view,
        here="Cut-over",
        section="jobs",
        crumbs=(
            Link("Overview", addresses.overview()),
            project_link(board, job),
            Link(f"Job {job.id}", addresses.job(job.id)),
        ),
        project=job.project,
    )


@router.get("/jobs/{job}/cut-over/tasks/{form}", dependencies=[on_job("view")])
async def download(board: Board, store: Store, job: OneJob, form: str) -> Response:
    """The files of the task in one form: the file itself, or several in a zip file."""
    await _found(store, job)
    made = make_task(board.configuration, board.configuration.project(job.project), form_of(form))
    if len(made) == 1:
        (file,) = made
        return _attached(file.name, file.text.encode(), "text/plain; charset=utf-8")
    files = ChangeSet(tuple(ChangedFile(each.name, None, each.text.encode()) for each in made))
    return _attached(f"{job.project}-migrate-{form}.zip", files.zip(), "application/zip")


def _attached(name: str, content: bytes, type_: str) -> Response:
    return Response(
        content, media_type=type_, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _tasks(configuration: Configuration, job: JobRecord) -> tuple[tuple[ShownTask, ...], ErrorView | None]:
    """Every form, or why there is none."""
    try:
        project = configuration.project(job.project)
        return tuple(
            ShownTask(
                form.name,
                form.title,
                form.account,
                tuple(ShownFile(each.name, each.text) for each in make_task(configuration, project, form)),
                addresses.cut_over_task(job.id, form.name),
            )
            for form in FORMS
        ), None
    except CleanStartError as refusal:
        return (), error_view(refusal)


async def _found(store: AsyncConnection, job: JobRecord) -> CutOver:
    found = await cut_over_of(store, job.id)
    if found is None:
        raise NotFound(f"Job {job.id} looked for no cut-over.", hint="Prepare it from the project's page.")
    return found


def _mark(scan: Scan) -> Mark:
    at_start = scan.of("start-up")
    if not at_start:
        return Mark("ok", "Nothing migrates at start-up")
    certain = sum(each.certain for each in at_start)
    if certain:
        return Mark("warn", f"{words.plural(certain, 'place')} at start-up")
    return Mark("unknown", f"{words.plural(len(at_start), 'place')} that may run at start-up")


def _groups(scan: Scan) -> Iterator[FoundGroup]:
    for when in WHENS:
        found = scan.of(when)
        if found:
            instead = tuple(dict.fromkeys(each.instead for each in found))
            key = when.replace(" ", "-")
            yield FoundGroup(key, TITLES[when], instead, tuple(map(_place, found)))


def _role(found: CheckedRole) -> Check:
    words_of = {
        "met": Mark("ok", f"On {found.environment}, {found.role} can change no schema"),
        "not met": Mark("blocked", f"On {found.environment}, {found.role} can change the schema"),
        "not known": Mark("unknown", f"On {found.environment}, it is not known what {found.role} can do"),
    }
    return Check(words_of[found.state], account=" ".join(found.account))


def _place(found: Finding) -> FoundPlace:
    if found.when == "by hand":
        mark = Mark("wait", "Only when it is called")
    elif found.certain:
        mark = Mark("warn", "Runs then")
    else:
        mark = Mark("unknown", "May run then")
    return FoundPlace(found.place, found.text, f"{found.what}, {found.by}", mark)
