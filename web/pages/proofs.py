"""`/jobs/{id}/proof`: how everything stands to a baseline; `/jobs/{id}/rehearsal`: what applying it did to copies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from web import addresses, words
from web.answers.strategy import STRATEGIES, Strategy
from web.dashboard import Board, Dashboard, Id, OneJob, Store, on_job
from web.errors import NotFound
from web.jobs.reading import JobRecord
from web.pages.differences import Sides, groups, portion
from web.pages.jobs import project_link
from web.pages.shell import Framed
from web.pages.views.clean_start import (
    ProofPage,
    RehearsedPage,
    RehearsedRow,
    ShownComparison,
    ShownProof,
)
from web.pages.views.marks import Link, Mark
from web.remedies.stored_proofs import Against, BaselineProof, proof_of
from web.remedies.stored_rehearsals import RehearsedEnvironment, rehearsal_of
from web.schema.finding import Difference

router = APIRouter()


@router.get("/jobs/{job}/proof", dependencies=[on_job("view")])
async def show(board: Board, store: Store, frame: Framed, job: OneJob, page: Id = 1) -> HTMLResponse:
    """The proofs, and every difference side by side."""
    found = await proof_of(store, job.id)
    if found is None or found.made_at is None:
        raise NotFound(f"Job {job.id} proved no baseline.", hint="Prove one from the baseline's page.")
    comparisons, pages = [], None
    for against in found.against:
        shown: Sequence[Difference] = against.differences
        if shown:
            shown, ways = portion(shown, page, addresses.proof(job.id))
            pages = ways or pages
        comparisons.append(_comparison(job.project, against, shown))
    view = ProofPage(
        project=job.project,
        revision=found.revision,
        mark=_mark(found),
        account=found.refusal
        or (
            "Its file was run as it is in the source."
            if found.in_source
            else "Its file was run as its change set has it."
        ),
        made_at=found.made_at,
        proofs=tuple(_proofs(found)),
        comparisons=tuple(comparisons),
        pages=pages,
        links=(
            Link("See the baseline", addresses.baseline(found.baseline)),
            Link("Clean start", addresses.clean_start(job.project)),
        ),
    )
    return frame.show(
        "clean_start/proof.html",
        view,
        here=f"Proof of {found.revision}",
        section="jobs",
        crumbs=_crumbs(board, job),
        project=job.project,
    )


def _crumbs(board: Dashboard, job: JobRecord) -> tuple[Link, ...]:
    return (
        Link("Overview", addresses.overview()),
        project_link(board, job),
        Link(f"Job {job.id}", addresses.job(job.id)),
    )


def _mark(found: BaselineProof) -> Mark:
    if found.refusal is not None:
        return Mark("failed", "It cannot be run")
    if any(each.refusal for each in found.against):
        return Mark("unknown", "Not everything was compared")
    total = sum(len(each.differences) for each in found.against)
    return Mark("drift", words.plural(total, "difference")) if total else Mark("ok", "Everything is equal")


def _proofs(found: BaselineProof) -> Iterator[ShownProof]:
    if found.refusal is not None:
        yield ShownProof(Mark("failed", "It does not run from nothing"), found.refusal, None, None)
        return
    before = f", before {words.duration(found.old_seconds)}" if found.old_seconds is not None else ""
    yield ShownProof(
        Mark("ok", "It runs from nothing"), f"In {words.duration(found.seconds or 0)}{before}.", None, None
    )
    if found.no_downgrade is None:
        yield ShownProof(Mark("ok", "Down to empty, and up again"), "", None, None)
    else:
        yield ShownProof(
            Mark("warn", "There is no way down"), f"{found.no_downgrade.capitalize()}.", None, None
        )
    if found.tables:
        listed = ", ".join(found.tables)
        yield (
            ShownProof(Mark("ok", "The rows of look-up tables are the same"), f"{listed}.", None, None)
            if found.rows_differ is None
            else ShownProof(
                Mark("drift", "Look-up tables hold other rows"), f"{found.rows_differ}.", None, None
            )
        )


def _comparison(project: str, against: Against, shown: Sequence[Difference]) -> ShownComparison:
    name = {"old migrations": "The old migrations", "models": "The models"}.get(
        against.sort, f"{project}/{against.name}"
    )
    lacks = (
        f"It lacks {words.plural(against.lacks, 'old migration')}, and was held against those that it has. "
        if against.lacks
        else ""
    )
    ignored = f"{words.plural(against.ignored, 'difference')} ignored by rule." if against.ignored else ""
    if against.refusal is not None:
        return ShownComparison(name, Mark("unknown", "Not compared"), against.refusal, ())
    count = len(against.differences)
    mark = Mark("drift", words.plural(count, "difference")) if count else Mark("ok", "The same")
    inside = name if against.sort == "environment" else f"{name[:1].lower()}{name[1:]}"
    sides = Sides("the baseline", inside, ("Baseline", name))
    return ShownComparison(name, mark, f"{lacks}{ignored}".strip(), groups(shown, sides))


@router.get("/jobs/{job}/rehearsal", dependencies=[on_job("view")])
async def show_rehearsal(board: Board, store: Store, frame: Framed, job: OneJob) -> HTMLResponse:
    """Every act on every copy, with how long it took."""
    found = await rehearsal_of(store, job.id)
    if found is None or found.made_at is None:
        raise NotFound(
            f"Job {job.id} rehearsed no clean start.", hint="Rehearse one from the baseline's page."
        )
    failed = any(each.refusal is not None for each in found.environments)
    view = RehearsedPage(
        job.project,
        found.revision,
        found.made_at,
        Mark("failed", "It failed") if failed else Mark("ok", "Every act came to its end"),
        tuple(map(_rehearsed, found.environments)),
    )
    return frame.show(
        "clean_start/rehearsal.html",
        view,
        here="Rehearsal",
        section="jobs",
        crumbs=_crumbs(board, job),
        project=job.project,
    )


def _rehearsed(found: RehearsedEnvironment) -> RehearsedRow:
    return RehearsedRow(
        found.environment,
        STRATEGIES[cast(Strategy, found.strategy)],
        Mark("failed", "Failed") if found.refusal is not None else Mark("ok", words.duration(found.seconds)),
        found.refusal or "",
        tuple((each.what, each.detail, words.duration(each.seconds)) for each in found.acts),
        found.loses,
    )
