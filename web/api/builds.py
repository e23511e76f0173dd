"""`/projects/{p}/builds` and deployments: what CI registers, and the answer it asks for."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.access import audit
from web.answers.builds import (
    Answer,
    Build,
    ListedBuild,
    answer,
    answers_of,
    load_build,
    read_builds,
    record_deployment,
    register_build,
)
from web.answers.summary import summarize
from web.api.bodies import Body
from web.dashboard import (
    LARGEST,
    Board,
    InEnvironment,
    InProject,
    Number,
    Store,
    Who,
    build_number,
    in_project,
)
from web.errors import Invalid
from web.jobs.events import announce_change
from web.jobs.start import environment_row
from web.observation.records import read_records, standing_json
from web.observation.stored_history import load_history
from web.tools.history import History

router = APIRouter()


class NewBuild(Body):
    """A build as CI registers it."""

    number: int = Field(gt=0, le=LARGEST)
    commit: str | None = Field(default=None, max_length=100)
    #: What `cleanstart register-build` reads from the checkout.
    manifest: dict[str, Any]


class NewDeployment(Body):
    """A record that an environment runs a build."""

    build: int


@router.post("/projects/{project}/builds", status_code=201, dependencies=[in_project("register-build")])
async def register(board: Board, who: Who, project: InProject, new: NewBuild) -> dict[str, object]:
    """Register a build; the same content again is fine, other content under its number is a conflict."""
    try:
        history = History.from_json(new.manifest)
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid(
            f"This is no manifest of migrations: {error}.", hint="Use `cleanstart register-build`."
        ) from error
    async with board.store.begin() as connection:
        build = await register_build(connection, project, new.number, history, by=who.name, commit=new.commit)
        await audit.append(
            connection,
            actor=who.actor,
            action="register build",
            object=f"{project.name} {build.label}",
            detail={"commit": new.commit, "digest": build.digest, "migrations": len(history)},
        )
    return _build(build)


@router.get("/projects/{project}/builds", dependencies=[in_project("view")])
async def list_builds(board: Board, project: InProject, store: Store, limit: int = 50) -> dict[str, object]:
    """The newest builds, newest first."""
    found = await read_builds(store, project.name, limit=max(1, min(limit, 500)), histories=board.histories)
    return {"builds": [_listed(each) for each in found]}


@router.get("/projects/{project}/builds/{number}", dependencies=[in_project("view")])
async def show_build(board: Board, project: InProject, store: Store, number: Number) -> dict[str, object]:
    """One build with its verdict for every environment."""
    build = await load_build(store, project.name, number, board.histories)
    records = await read_records(store, project.name)
    source = await load_history(store, project.name, board.histories)
    found = await answers_of(store, board.configuration, build, records, source, board.histories)
    return {
        **_build(build),
        "environments": {
            name: {
                **verdict.to_json(),
                **summarize(verdict, records.get((project.name, name))).to_json(),
                **standing_json(records.get((project.name, name))),
            }
            for name, verdict in found.items()
        },
        "manifest": build.history.to_json(),
    }


@router.get(
    "/projects/{project}/builds/{number}/environments/{environment}", dependencies=[in_project("view")]
)
async def show_answer(
    board: Board, store: Store, environment: InEnvironment, number: Number
) -> dict[str, object]:
    """Is this build ready for that environment: verdict, gate, and the observation the answer stands on."""
    return await _answer(
        store,
        await answer(
            store,
            board.configuration,
            environment.project,
            environment.name,
            number,
            histories=board.histories,
        ),
    )


@router.get("/projects/{project}/environments/{environment}/verdict", dependencies=[in_project("view")])
async def show_verdict(board: Board, store: Store, environment: InEnvironment) -> dict[str, object]:
    """The same question asked of the project's source."""
    return await _answer(
        store, await answer(store, board.configuration, environment.project, environment.name)
    )


@router.post(
    "/projects/{project}/environments/{environment}/deployments",
    status_code=201,
    dependencies=[in_project("record-deployment")],
)
async def deploy(board: Board, who: Who, environment: InEnvironment, new: NewDeployment) -> dict[str, object]:
    """Record that the environment runs a build."""
    async with board.store.begin() as connection:
        build = await record_deployment(connection, environment, build_number(str(new.build)), by=who.name)
        key, _ = await environment_row(connection, environment.project, environment.name)
        await announce_change(connection, key)
        await audit.append(
            connection,
            actor=who.actor,
            action="record deployment",
            object=environment.label,
            detail={"build": build.number, "commit": build.commit},
        )
    board.overviews.forget()
    return {"environment": environment.label, "build": build.number, "commit": build.commit}


async def _answer(store: AsyncConnection, found: Answer) -> dict[str, object]:
    age = None
    # A look that a job has outdated has no age that would do.
    if found.observation is not None and not (found.record and found.record.unseen):
        # By the store's own clock, which wrote the time: a client's may be wrong.
        now = await store.scalar(select(func.now()))
        assert now is not None
        age = (now - found.observation.observed_at).total_seconds()
    return {**found.to_json(), "gate_exit_code": found.gate_exit_code, "observation_age": age}


def _build(build: Build) -> dict[str, object]:
    return _listed(
        ListedBuild(
            build.project,
            build.number,
            build.commit,
            build.digest,
            build.registered_at,
            build.registered_by,
            build.history.heads,
            len(build.history),
        )
    )


def _listed(build: ListedBuild) -> dict[str, object]:
    return {
        "project": build.project,
        "number": build.number,
        "commit": build.commit,
        "digest": build.digest,
        "heads": list(build.heads),
        "migrations": build.migrations,
        "registered_at": build.registered_at.isoformat(),
        "registered_by": build.registered_by,
    }
