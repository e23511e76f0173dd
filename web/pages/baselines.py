"""`/jobs/{id}/baseline`: the baseline that a job wrote, with its proof."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.dashboard import Board, Id, OneJob, Store, on_job
from web.errors import NotFound
from web.jobs.reading import JobRecord
from web.pages.change_sets import source_actions, where_written
from web.pages.differences import Sides, groups, portion
from web.pages.jobs import project_link
from web.pages.shell import Framed
from web.pages.views.baseline import BaselinePage, LookupTable, ReplacedMigration, RowsForm
from web.pages.views.marks import Check, Link, Mark
from web.remedies.baseline import Baseline
from web.remedies.stored_baselines import StoredBaseline, baseline_of

router = APIRouter()


@router.get("/jobs/{job}/baseline", dependencies=[on_job("view")])
async def show(board: Board, store: Store, frame: Framed, job: OneJob, page: Id = 1) -> HTMLResponse:
    """The file, what it replaces, and what running it showed."""
    found = await _baseline(store, job)
    baseline, manifest = found.baseline, found.manifest
    differences, pages = portion(found.old.differences, page, addresses.baseline(job.id))
    archived = next((each["kept"] for each in manifest["migrations"] if each["kept"]), None)
    view = BaselinePage(
        job=job.id,
        project=job.project,
        revision=baseline.revision,
        file=baseline.path,
        text=baseline.text,
        mark=Mark("ok", "Proven in a scratch database") if baseline.proven else Mark("failed", "Not proven"),
        account=_account(baseline, found.source),
        made_at=found.made_at,
        proofs=tuple(_proofs(found)),
        replaced=tuple(
            ReplacedMigration(each["revision"], each["message"], each["path"], each["kept"] or "")
            for each in reversed(manifest["migrations"])
        ),
        archive=archived or "",
        against_head=groups(
            differences,
            Sides("the migrations", found.source, ("At the old head", "With the baseline")),
        ),
        count=len(found.old.differences),
        pages=pages,
        left=tuple(f"{each.kind} {each.object}: {reason}" for each, reason in baseline.left),
        rows=_rows(found, job),
        written=where_written(found),
        actions=source_actions(board, frame, found),
    )
    return frame.show(
        "baselines/show.html",
        view,
        here=f"Baseline {baseline.revision}",
        section="jobs",
        crumbs=(
            Link("Overview", addresses.overview()),
            project_link(board, job),
            Link(f"Job {job.id}", addresses.job(job.id)),
        ),
        project=job.project,
    )


async def _baseline(store: AsyncConnection, job: JobRecord) -> StoredBaseline:
    found = await baseline_of(store, job.id)
    if found is None:
        raise NotFound(f"Job {job.id} wrote no baseline.", hint="Make one from the project's page.")
    return found


def _rows(found: StoredBaseline, job: JobRecord) -> RowsForm | None:
    carried = dict(found.baseline.rows)
    there = {**dict(found.old.offered), **carried}
    if not there:
        return None
    left = len(there.keys() - carried.keys())
    account = (
        f"{words.plural(len(there), 'table')} held rows in {found.source}. Tick those that every database needs: "
        "countries, roles, states. "
        + (
            f"The rows of {words.plural(left, 'table')} are not in this baseline."
            if left
            else "All are in it."
        )
    )
    chosen = tuple((name, _as_field(value)) for name, value in job.parameters.items() if name != "rows")
    return RowsForm(
        addresses.new_project_job(job.project, job.kind),
        chosen,
        tuple(LookupTable(name, count, name in carried) for name, count in sorted(there.items())),
        account,
    )


def _as_field(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _account(baseline: Baseline, source: str) -> str:
    if baseline.proven:
        but = ", but for what is named below" if baseline.left else ""
        return f"Run in an empty scratch database, it gave exactly the schema of {source}{but}."
    if baseline.refusal is not None:
        return f"It could not be run: {baseline.refusal}"
    first = baseline.remaining[0]
    count = words.plural(len(baseline.remaining), "difference")
    return f"Run in a scratch database, it leaves {count}: {first.kind} {first.object}."


def _proofs(found: StoredBaseline) -> Iterator[Check]:
    baseline = found.baseline
    if baseline.refusal is None:
        mark = Mark("ok" if baseline.proven else "failed", f"From nothing to {found.source}")
        yield Check(mark, end=_took(found))
    if baseline.no_downgrade is None and baseline.proven:
        yield Check(Mark("ok", "Down to empty, types included, and up again"))
    elif baseline.no_downgrade is not None:
        yield Check(
            Mark("warn", "No way down"),
            account=f"{baseline.no_downgrade[:1].upper()}{baseline.no_downgrade[1:]}.",
        )
    if baseline.rows and baseline.refusal is None:
        total = words.plural(sum(count for _, count in baseline.rows), "row")
        tables = words.plural(len(baseline.rows), "look-up table")
        yield Check(Mark("ok", f"The rows of {tables} are there, and one more can come"), end=total)
    if found.old.refusal is not None:
        yield Check(
            Mark("unknown", "Not compared with the old migrations"),
            account=f"They cannot be run from nothing: {found.old.refusal}",
        )
    elif found.old.differences:
        count = words.plural(len(found.old.differences), "difference")
        yield Check(
            Mark("warn", "Unlike what the old migrations give"),
            end=count,
            account="Databases at the old head are another way. See below what this would lose or bring.",
        )
    elif found.source.endswith(("@head", "@heads")):
        yield Check(Mark("ok", "The same as what the old migrations give"))


def _took(found: StoredBaseline) -> str | None:
    """Seconds from empty to head, with those of the old migrations where they are known."""
    if found.baseline.seconds is None:
        return None
    now = words.duration(found.baseline.seconds)
    return now if found.old.seconds is None else f"{now}, before {words.duration(found.old.seconds)}"
