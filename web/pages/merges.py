"""`/jobs/{id}/merge`: the migration that a job wrote to join heads, with its proof."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from web import addresses, words
from web.dashboard import Board, Id, OneJob, Store, on_job
from web.errors import NotFound
from web.pages.change_sets import source_actions, where_written
from web.pages.differences import Sides, groups, portion
from web.pages.jobs import project_link
from web.pages.shell import Framed
from web.pages.views.marks import Check, Link, Mark
from web.pages.views.merge import MergedEnvironment, MergePage
from web.remedies.merging import Merge, Order, Reached
from web.remedies.stored_merges import merge_of
from web.schema.finding import Difference

router = APIRouter()


@router.get("/jobs/{job}/merge", dependencies=[on_job("view")])
async def show(board: Board, store: Store, frame: Framed, job: OneJob, page: Id = 1) -> HTMLResponse:
    """The file, what running it showed in each order of the branches, and what it means for each environment."""
    found = await merge_of(store, job.id)
    if found is None:
        raise NotFound(
            f"Job {job.id} merged no heads.",
            hint="Merge them from the project's page, where there are several.",
        )
    merge = found.merge
    unlike, differences, sides = _unlike(merge)
    shown, pages = portion(differences, page, addresses.merge(job.id))
    view = MergePage(
        job=job.id,
        project=job.project,
        revision=merge.revision,
        heads=merge.heads,
        file=merge.path,
        text=merge.text,
        mark=Mark("ok", "Proven in scratch databases") if merge.proven else Mark("failed", "Not proven"),
        account=merge.why_not or _account(merge),
        made_at=found.made_at,
        proofs=tuple(_proofs(merge)),
        environments=tuple(_environment(job.project, each) for each in merge.environments),
        remarks=merge.remarks,
        unlike=unlike,
        groups=groups(shown, sides),
        count=len(differences),
        pages=pages,
        written=where_written(found),
        actions=source_actions(board, frame, found),
    )
    return frame.show(
        "merges/show.html",
        view,
        here=f"Merge {merge.revision}",
        section="jobs",
        crumbs=(
            Link("Overview", addresses.overview()),
            project_link(board, job),
            Link(f"Job {job.id}", addresses.job(job.id)),
        ),
        project=job.project,
    )


def _account(merge: Merge) -> str:
    every = (
        "whichever of its branches comes first"
        if merge.every_order
        else "whichever of its branches comes first, and with every two of them in both orders"
    )
    return f"On PostgreSQL {merge.major} the schema is the same {every}, from nothing, and before the merge."


def _proofs(merge: Merge) -> Iterator[Check]:
    for each in merge.orders:
        yield Check(_order_mark(merge, each), end=_took(each.seconds), account=each.refusal)
    if merge.column_orders:
        yield Check(
            Mark("warn", f"The columns of {', '.join(merge.column_orders)} come in another order"),
            account="Databases that have the branches in another order keep that, and drift says so. No query that "
            "names its columns sees it.",
        )
    if merge.changed:
        yield Check(Mark("failed", "The merge changes the schema itself"), end=_count(merge.changed))
    if merge.refusal is not None:
        yield Check(Mark("failed", "From nothing to the merge"), account=merge.refusal)
    else:
        mark = Mark("failed" if merge.remaining else "ok", "From nothing to the merge")
        yield Check(mark, end=_count(merge.remaining) if merge.remaining else _took(merge.seconds))
    if merge.no_downgrade is not None:
        yield Check(
            Mark("warn", "No way down"), account=f"{merge.no_downgrade[:1].upper()}{merge.no_downgrade[1:]}."
        )
    elif merge.refusal is None:
        yield Check(Mark("ok", "Down to the heads, and up again"))


def _order_mark(merge: Merge, order: Order) -> Mark:
    said = f"{order.words}, then the merge"
    if order.refusal is not None:
        return Mark("failed", said)
    if order.unlike:
        return Mark("failed", f"{said}: {_count(order.unlike)}")
    return Mark("ok", f"{said}: the same" if order is not merge.first else said)


def _unlike(merge: Merge) -> tuple[str, Sequence[Difference], Sides]:
    """What is shown object by object: where two orders differ, else what the merge changes or gives from nothing."""
    first = merge.first
    other = merge.unlike or next((each for each in merge.orders if each.differences), None)
    if other is not None and first is not None:
        a, b = first.words, other.words
        return "What the order of the branches changes", other.differences, Sides(a, b, (a, b))
    if merge.changed:
        return "What the merge changes", merge.changed, Sides(headings=("Before", "After"), over_time=True)
    a, b = first.words if first is not None else "", "from nothing"
    return "What it gives from nothing", merge.remaining, Sides(a, b, (a, b))


def _environment(project: str, reached: Reached) -> MergedEnvironment:
    remark = reached.remark or ("" if reached.pending else "Nothing: it has all of it.")
    return MergedEnvironment(
        reached.environment,
        addresses.environment(project, reached.environment, "migrations"),
        reached.revisions,
        datetime.fromisoformat(reached.seen_at) if reached.seen_at is not None else None,
        reached.pending,
        remark,
    )


def _count(differences: Sequence[Difference]) -> str:
    return words.plural(len(differences), "difference")


def _took(seconds: float | None) -> str | None:
    return words.duration(seconds) if seconds is not None else None
