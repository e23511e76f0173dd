"""`/projects/{p}/clean-start`: the guided clean start as JSON: its steps, its choices, its report."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from web.api.bodies import Body
from web.clean_start.acting import accept_in_run, end_run
from web.clean_start.evidence import read_evidence
from web.clean_start.report import as_markdown, report_of
from web.clean_start.runs import LENGTH, Run, begin, choose, newest_run, open_run, read_run
from web.clean_start.since import read_since
from web.clean_start.steps import steps_of
from web.config import Project
from web.dashboard import Board, Dashboard, Id, InProject, Store, Who, in_project
from web.errors import NotFound

router = APIRouter(prefix="/projects/{project}/clean-start")


class Beginning(Body):
    """How a run begins."""

    #: By environment, where it is to be another than the survey recommends.
    strategies: dict[str, str] = Field(default_factory=dict, max_length=500)
    #: Whether the history is replaced or kept.
    way: Literal["clean start", "keep"] = "clean start"


class Choice(Body):
    """What is done with one environment."""

    environment: str = Field(max_length=63)
    strategy: str = Field(max_length=50)


class Acceptance(Body):
    """What somebody answers for, and why."""

    difference: str = Field(max_length=200)
    reason: str = Field(max_length=LENGTH)


class End(Body):
    """How a run ends."""

    how: Literal["done", "stopped"]
    reason: str = Field(default="", max_length=LENGTH)


@router.get("", dependencies=[in_project("view")])
async def show(board: Board, store: Store, project: InProject, run: Id | None = None) -> dict[str, object]:
    """The run that goes on, or one that has ended, with its steps, their proofs and what can be started."""
    found = await _run(store, project, run)
    return await _as_json(board, store, found)


@router.post("", status_code=201, dependencies=[in_project("baseline")])
async def start(board: Board, who: Who, project: InProject, new: Beginning) -> dict[str, object]:
    """Begin a run."""
    async with board.store.begin() as connection:
        number = await begin(connection, project, who, new.strategies, way=new.way)
    async with board.store.connect() as store:
        return await _as_json(board, store, await read_run(store, project.name, number))


@router.post("/strategies", dependencies=[in_project("baseline")])
async def choose_strategy(board: Board, who: Who, project: InProject, new: Choice) -> dict[str, object]:
    """Do something else with an environment."""
    async with board.store.begin() as connection:
        await choose(connection, project, who, new.environment, new.strategy)
    async with board.store.connect() as store:
        return await _as_json(board, store, await open_run(store, project.name))


@router.post("/acceptances", status_code=201, dependencies=[in_project("baseline")])
async def accept(board: Board, who: Who, project: InProject, new: Acceptance) -> dict[str, object]:
    """Answer for something that is not as it should be."""
    async with board.store.begin() as connection:
        await accept_in_run(
            connection,
            board.configuration,
            project,
            who,
            new.difference,
            new.reason,
            histories=board.histories,
        )
    board.overviews.forget()
    async with board.store.connect() as store:
        return await _as_json(board, store, await open_run(store, project.name))


@router.post("/end", dependencies=[in_project("baseline")])
async def finish(board: Board, who: Who, project: InProject, new: End) -> dict[str, object]:
    """End the run; the report is the answer."""
    async with board.store.begin() as connection:
        told = await end_run(
            connection,
            board.configuration,
            project,
            who,
            new.how,
            why=new.reason,
            histories=board.histories,
        )
    board.overviews.forget()
    return {**told, "markdown": as_markdown(told)}


@router.get("/report", dependencies=[in_project("view")])
async def report(board: Board, store: Store, project: InProject, run: Id | None = None) -> dict[str, object]:
    """The report, as values and as Markdown."""
    found = await _run(store, project, run)
    told = found.report
    if told is None:
        evidence = await read_evidence(store, board.configuration, found, histories=board.histories)
        told = report_of(evidence, steps_of(evidence))
    return {**told, "markdown": as_markdown(told)}


async def _run(store: AsyncConnection, project: Project, number: int | None) -> Run:
    if number is not None:
        return await read_run(store, project.name, number)
    found = await newest_run(store, project.name)
    if found is None:
        raise NotFound(
            f"There was no clean start of {project.name} yet.",
            hint=f"Begin one: `cleanstart clean-start begin {project.name}`.",
        )
    return found


async def _as_json(board: Dashboard, store: AsyncConnection, run: Run) -> dict[str, object]:
    evidence = await read_evidence(store, board.configuration, run, histories=board.histories)
    proof = evidence.proof
    records = {name: each.record for name, each in evidence.views.items()}
    since = await read_since(store, evidence.project, evidence.source, records) if run.ended else None
    return {
        "run": run.id,
        "project": run.project,
        "state": run.ended or "open",
        "way": run.way,
        "strategies": dict(run.strategies),
        "begun_at": run.begun_at.isoformat(),
        "begun_by": run.begun_by,
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "ended_by": run.ended_by,
        "why": run.why,
        "steps": [step.to_json() for step in steps_of(evidence)],
        "differences": [
            {
                "id": against.id_of(each),
                "of": against.key,
                "accepted": against.id_of(each) in run.acceptances,
                **each.to_json(),
            }
            for against in (proof.against if proof is not None else ())
            for each in against.differences
        ],
        # Of the one that was done last.
        "since": since.to_json() if since is not None and since.run_id == run.id else None,
    }
