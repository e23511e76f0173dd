"""`/projects`: what there is, what state it is in, and a project's history."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncConnection

from web.access.permissions import visible_projects
from web.access.requests import signed_in
from web.answers.environment import View, read_backups, view
from web.answers.overview import read_overview
from web.backups.catalog import dump_of
from web.comparison.ignore_rules import active_rules, sort_out
from web.config import Environment
from web.dashboard import Board, Dashboard, Id, InEnvironment, InProject, Store, Who, in_project
from web.errors import NotFound
from web.jobs.reading import live_workers
from web.observation.records import read_drift, standing_json
from web.observation.stored_history import load_history
from web.observation.timeline import read_timeline

router = APIRouter()


@router.get("/projects", dependencies=[signed_in()])
async def list_projects(board: Board, store: Store, who: Who) -> dict[str, object]:
    """All projects with the state of their environments, and what needs attention, as of the last looks."""
    overview = await read_overview(
        store, board.configuration, histories=board.histories, noun_of=board.kinds.noun
    )
    visible = set(visible_projects(who, board.configuration.projects))
    return {
        "live_workers": await live_workers(store),
        "projects": [
            {
                "name": row.project.name,
                "title": row.project.title,
                "environments": [
                    {
                        "name": cell.environment.name,
                        "label": cell.environment.label,
                        "tier": cell.environment.tier,
                        **cell.verdict.to_json(),
                        **cell.summary.to_json(),
                        **standing_json(cell.record),
                        "observation": (
                            cell.record.observation.to_json()
                            if cell.record and cell.record.observation
                            else None
                        ),
                        "build": cell.record.build.number if cell.record and cell.record.build else None,
                        "last_backup": (
                            cell.record.backup.created_at.isoformat()
                            if cell.record and cell.record.backup
                            else None
                        ),
                        "job": cell.record.job.id if cell.record and cell.record.job else None,
                    }
                    for cell in row.cells.values()
                ],
            }
            for row in overview.rows
            if row.project.name in visible
        ],
        "attention": [
            {
                "what": each.hurt,
                "project": each.project.name,
                "environment": each.environment.name if each.environment else None,
                "sentence": each.sentence,
                "detail": each.detail,
                "since": each.since.isoformat() if each.since else None,
                "job": each.job_id,
            }
            for each in overview.attention
            if each.project.name in visible
        ],
    }


@router.get("/projects/{project}", dependencies=[in_project("view")])
async def show_project(project: InProject) -> dict[str, object]:
    """A project's settings as a client needs them to read a history from a checkout."""
    return {
        "name": project.name,
        "title": project.title,
        "environments": [
            {"name": each.name, "tier": each.tier, "label": each.label}
            for each in project.environments.values()
        ],
        "tool": project.tool.to_json(project.source if isinstance(project.source, Path) else None),
    }


@router.get("/projects/{project}/history", dependencies=[in_project("view")])
async def show_history(board: Board, project: InProject, store: Store) -> dict[str, object]:
    """The history as last read from the source."""
    stored = await load_history(store, project.name, board.histories)
    if stored is None:
        raise NotFound(
            f"The migrations of {project.name} have not been read yet.", hint="Check an environment."
        )
    return {
        "project": project.name,
        "read_at": stored.read_at.isoformat(),
        "digest": stored.digest,
        "error": dict(stored.error) if stored.error else None,
        "history": stored.history.to_json() if stored.history else None,
    }


@router.get("/projects/{project}/environments/{environment}", dependencies=[in_project("view")])
async def show_environment(board: Board, store: Store, environment: InEnvironment) -> dict[str, object]:
    """One environment: verdict, gate, observation and the volatile facts of the last look."""
    seen = await _view(board, store, environment, tables=True)
    return {**seen.to_json(), "facts": seen.facts.to_json() if seen.facts else None}


@router.get("/projects/{project}/environments/{environment}/migrations", dependencies=[in_project("view")])
async def show_migrations(board: Board, store: Store, environment: InEnvironment) -> dict[str, object]:
    """Every migration of the source with its mark on this environment; unknown revisions first."""
    seen = await _view(board, store, environment)
    history = seen.source.history if seen.source else None
    return {
        **seen.verdict.to_json(),
        **seen.summary.to_json(),
        "migrations": [
            *({"revision": revision, "mark": "unknown"} for revision in seen.verdict.unknown),
            *(
                {
                    "revision": step.revision,
                    "message": step.message,
                    "path": step.path,
                    "down": list(step.down),
                    "mark": seen.verdict.mark_of(step.revision),
                    "first_seen": (
                        seen.applied[step.revision].first_seen.isoformat()
                        if step.revision in seen.applied
                        else None
                    ),
                }
                for step in reversed(history.migrations if history else ())
            ),
        ],
    }


@router.get("/projects/{project}/environments/{environment}/drift", dependencies=[in_project("view")])
async def show_drift(board: Board, store: Store, environment: InEnvironment) -> dict[str, object]:
    """The differences between what the applied migrations give (a) and what is there (b)."""
    seen = await _view(board, store, environment)
    if seen.observation is None:
        raise NotFound(f"{environment.label} was never checked.", hint="Check it first.")
    drift = seen.observation.drift
    rules = await active_rules(store, environment.project, environment.name) if drift.ignored else ()
    found = sort_out(await read_drift(store, drift), rules)
    return {
        "environment": environment.label,
        "state": drift.state,
        "reason": drift.reason,
        "observed_at": seen.observation.observed_at.isoformat(),
        "a": {"source": f"{environment.project}@applied", "fingerprint": drift.expected_fingerprint},
        "b": {"source": environment.label, "fingerprint": drift.fingerprint},
        "differences": [each.to_json() for each in found.differences],
        "ignored": [
            {**each.to_json(), "rule": rule.id, "until": rule.expires_at.isoformat()}
            for each, rule in found.ignored
        ],
    }


@router.get("/projects/{project}/environments/{environment}/timeline", dependencies=[in_project("view")])
async def show_timeline(
    board: Board,
    store: Store,
    environment: InEnvironment,
    before: Id | None = None,
    limit: int = 25,
    differences: bool = False,
) -> dict[str, object]:
    """When the schema changed and by whom, newest first; `before` continues it, `differences` lists them all."""
    seen = await _view(board, store, environment)
    told = await read_timeline(
        board.store,
        store,
        seen.record,
        before=before,
        limit=max(1, min(limit, 100)),
        first=None if differences else 0,
    )
    return {
        "environment": environment.label,
        "older": told.older,
        "entries": [each.to_json() for each in told.entries],
    }


@router.get("/projects/{project}/environments/{environment}/backups", dependencies=[in_project("view")])
async def show_backups(board: Board, store: Store, environment: InEnvironment) -> dict[str, object]:
    """The backups that exist, newest first."""
    seen = await _view(board, store, environment)
    stored = await read_backups(store, seen.record.environment_id) if seen.record else ()
    return {
        "environment": environment.label,
        "backups": [
            {
                "id": each.id,
                "created_at": each.created_at.isoformat(),
                "bytes": each.size,
                "state": each.state,
                "verified_at": each.verified_at.isoformat() if each.verified_at else None,
                # What was found wrong with it; empty where nothing was.
                "problems": list((each.verification or {}).get("problems") or ()),
                "job": each.job_id,
                "manifest": each.manifest,
                # For pg_restore, on the machine where the backups lie.
                "file": dump_of(board.configuration.backups.location, environment, each.id),
            }
            for each in stored
        ],
    }


async def _view(
    board: Dashboard, store: AsyncConnection, environment: Environment, *, tables: bool = False
) -> View:
    names = environment.project, environment.name
    return await view(store, board.configuration, *names, histories=board.histories, tables=tables)
