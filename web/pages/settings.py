"""`/settings`: the configuration as resolved, without secrets; workers, tokens, PostgreSQL programs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

import web
from web import words
from web.access.permissions import EVERY_PROJECT, Principal, may, visible_projects
from web.access.requests import signed_in
from web.access.tokens import Token, list_tokens
from web.config import Configuration, Environment, Project
from web.dashboard import Board, Store
from web.jobs.reading import list_workers
from web.pages.shell import Framed, now
from web.pages.views.marks import Mark
from web.pages.views.settings import ProgramRow, Setting, SettingGroup, Settings, TokenRow, WorkerRow
from web.postgres.programs import find_programs
from web.walls.layers import NO_WALL

router = APIRouter()

#: Makes a setting from its key, its value and the table that it stands in.
Make = Callable[..., Setting]


@router.get("/settings", dependencies=[signed_in()])
async def show(board: Board, store: Store, frame: Framed) -> HTMLResponse:
    """What is in force."""
    configuration = board.configuration
    visible = visible_projects(frame.who, configuration.projects)
    programs = await asyncio.to_thread(find_programs, configuration.programs)
    view = Settings(
        file=str(configuration.file or "defaults"),
        version=web.__version__,
        groups=_groups(configuration, visible),
        workers=tuple(
            WorkerRow(
                name=each.name,
                host=each.host,
                pid=each.pid,
                version=each.version,
                mark=Mark("ok", "Alive")
                if each.alive
                else Mark("cancelled", "Stopped")
                if each.stopped_at
                else Mark("unknown", "No sign of life"),
                started_at=each.started_at,
                heartbeat_at=each.heartbeat_at,
                wall=_wall(each.wall),
            )
            for each in await list_workers(store, limit=12)
        ),
        tokens=tuple(_token(each) for each in await list_tokens(store) if _may_see(frame.who, each)),
        programs=tuple(
            ProgramRow(each.version, str(each.directory), each.source, each.has_server) for each in programs
        ),
    )
    return frame.show("settings/show.html", view, here="Settings", section="settings")


def _wall(words_of_it: str | None) -> Mark:
    if words_of_it is None:
        return Mark("unknown", "Not told")
    if words_of_it == NO_WALL:
        return Mark("warn", "None: only projects with without_wall are run")
    return Mark("ok", words_of_it[:1].upper() + words_of_it[1:])


def _may_see(who: Principal, token: Token) -> bool:
    return may(who, "manage-tokens", None if token.project == EVERY_PROJECT else token.project)


def _token(token: Token) -> TokenRow:
    if token.revoked_at is not None:
        mark = Mark("cancelled", "Revoked")
    elif token.expires_at is not None and token.expires_at < now():
        mark = Mark("cancelled", "Expired")
    else:
        mark = Mark("ok", "In force")
    return TokenRow(
        name=token.name,
        prefix=token.prefix,
        role=token.role,
        project="all projects" if token.project == EVERY_PROJECT else token.project,
        created_by=token.created_by,
        created_at=token.created_at,
        mark=mark,
        last_used_at=token.last_used_at,
        expires_at=token.expires_at,
    )


def _groups(configuration: Configuration, visible: tuple[str, ...]) -> tuple[SettingGroup, ...]:
    def setting(key: str, value: object, *path: str) -> Setting:
        line = configuration.lines.get(".".join((*path, key)))
        file = configuration.file.name if configuration.file else ""
        shown = "none" if value is None or value == () else _text(value)
        return Setting(key, shown, f"{file}:{line}" if line else "default")

    found = [
        SettingGroup(
            "general",
            (
                setting("public_url", configuration.public_url),
                setting("trusted_proxies", configuration.trusted_proxies),
                setting("data_directory", configuration.data_directory),
                setting("programs", configuration.programs),
            ),
        ),
        SettingGroup(
            "store",
            (
                setting("url", configuration.store_url or "embedded", "store"),
                setting("owner_url", configuration.store_owner_url, "store"),
            ),
        ),
        SettingGroup(
            "scratch",
            tuple(setting(str(major), place, "scratch") for major, place in configuration.scratch.items()),
        ),
        SettingGroup("backups", (setting("location", configuration.backups.location, "backups"),)),
    ]
    for name in visible:
        project = configuration.project(name)
        found.append(_project(project, setting))
        found += [_environment(each, setting) for each in project.environments.values()]
    return tuple(group for group in found if group.settings)


def _project(project: Project, setting: Make) -> SettingGroup:
    path = ("projects", project.name)
    tool = (*path, project.tool.name)
    return SettingGroup(
        ".".join(path),
        (
            setting("title", project.title, *path),
            setting("source", project.source, *path),
            setting("keeps", project.keeps, *path),
            setting("env", tuple(project.env), *path),
            setting("readable", project.readable, *path),
            setting("without_wall", "yes" if project.without_wall else "no", *path),
            setting(
                "limits", f"{words.size(project.limits.memory)}, {project.limits.processes} processes", *path
            ),
            *(setting(key, value, *tool) for key, value in project.tool.facts().items()),
        ),
    )


def _environment(environment: Environment, setting: Make) -> SettingGroup:
    path = ("projects", environment.project, "environments", environment.name)
    reset = environment.reset
    return SettingGroup(
        ".".join(path),
        (
            setting("url", environment.url, *path),
            setting("tier", environment.tier, *path),
            setting("reset", "not here" if reset is None else reset.script or reset.seed or "yes", *path),
            setting("max_age", environment.backup.max_age, *path, "backup"),
        ),
        tier=environment.tier,
    )


def _text(value: object) -> str:
    if isinstance(value, timedelta):
        return words.duration(value.total_seconds())
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
