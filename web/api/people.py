"""`/users`, `/tokens` and `/audit`: who may come in, and what they did."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.access import tokens, users
from web.access.audit import verify_chain
from web.access.permissions import EVERY_PROJECT, Principal, Role, may, require_project
from web.access.requests import permission, signed_in
from web.api.bodies import Body, GivenName, ProjectName
from web.dashboard import Board, Dashboard, Id, Name, Store, Who
from web.store.tables import AuditEntryRow

router = APIRouter()


class NewUser(Body):
    """A user to be created."""

    name: GivenName
    password: str
    display_name: GivenName = ""
    #: Role by project; `*` is every project.
    grants: dict[ProjectName, Role] = Field(default_factory=dict)


class UserChange(Body):
    """What is to be changed of a user; what is left out stays."""

    password: str | None = None
    disabled: bool | None = None
    #: Browsers that the user has signed in with count as unknown again.
    forget_devices: bool = False
    #: None takes a role away.
    grants: dict[ProjectName, Role | None] = Field(default_factory=dict)


class NewToken(Body):
    """A token to be made."""

    name: GivenName
    project: ProjectName = EVERY_PROJECT
    role: Role
    days: int | None = Field(default=None, gt=0, le=3650)


@router.get("/users", dependencies=[permission("manage-users")])
async def list_users(store: Store) -> dict[str, object]:
    """All users with their roles."""
    return {
        "users": [
            {
                "name": each.name,
                "display_name": each.display_name,
                "created_at": each.created_at.isoformat(),
                "disabled": each.disabled_at is not None,
                "grants": dict(each.grants),
            }
            for each in await users.list_users(store)
        ]
    }


@router.post("/users", status_code=201, dependencies=[permission("manage-users")])
async def create_user(board: Board, who: Who, new: NewUser) -> dict[str, object]:
    """Create a user."""
    for project in new.grants:
        require_project(who, project, board.configuration.projects)
    async with board.store.begin() as connection:
        await users.create_user(
            connection,
            actor=who.actor,
            name=new.name,
            password=new.password,
            display_name=new.display_name,
            grants=new.grants,
        )
    return {"name": new.name.strip().lower()}


@router.patch("/users/{name}", dependencies=[permission("manage-users")])
async def change_user(board: Board, who: Who, name: Name, change: UserChange) -> dict[str, object]:
    """Change a user's password or roles, disable or enable them, forget their devices."""
    async with board.store.begin() as connection:
        await users.require_user(connection, name)
        for project, role in change.grants.items():
            await _grant(connection, board, who, name, project, role)
        if change.password is not None:
            await users.set_password(connection, actor=who.actor, name=name, password=change.password)
        if change.disabled is not None:
            act = users.disable_user if change.disabled else users.enable_user
            await act(connection, actor=who.actor, name=name)
        if change.forget_devices:
            await users.forget_devices(connection, actor=who.actor, name=name)
    return {"name": name}


@router.get("/tokens", dependencies=[signed_in()])
async def list_tokens(store: Store, who: Who) -> dict[str, object]:
    """The tokens of the projects that the person administers; never the tokens themselves."""
    return {
        "tokens": [
            {
                "name": each.name,
                "prefix": each.prefix,
                "project": each.project,
                "role": each.role,
                "created_by": each.created_by,
                "created_at": each.created_at.isoformat(),
                "expires_at": each.expires_at.isoformat() if each.expires_at else None,
                "last_used_at": each.last_used_at.isoformat() if each.last_used_at else None,
                "revoked": each.revoked_at is not None,
            }
            for each in await tokens.list_tokens(store)
            if may(who, "manage-tokens", None if each.project == EVERY_PROJECT else each.project)
        ]
    }


@router.post("/tokens", status_code=201, dependencies=[signed_in()])
async def create_token(board: Board, who: Who, new: NewToken) -> dict[str, object]:
    """Make a token; the answer is the only time that it can be seen."""
    require_project(who, new.project, board.configuration.projects)
    async with board.store.begin() as connection:
        token = await tokens.create_token(
            connection,
            by=who,
            name=new.name,
            project=new.project,
            role=new.role,
            lifetime=timedelta(days=new.days) if new.days else None,
        )
    return {"name": new.name, "token": token}


@router.delete("/tokens/{name:path}", dependencies=[signed_in()])
async def revoke_token(board: Board, who: Who, name: Name) -> dict[str, object]:
    """End a token."""
    async with board.store.begin() as connection:
        await tokens.revoke_token(connection, by=who, name=name)
    return {"name": name, "revoked": True}


@router.get("/audit", dependencies=[permission("read-audit")])
async def list_audit(
    store: Store, before: Id | None = None, limit: int = Query(100, ge=1, le=1000)
) -> dict[str, object]:
    """The audit trail, newest first; `before` continues a list."""
    query = select(AuditEntryRow).order_by(AuditEntryRow.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEntryRow.id < before)
    rows: list[dict[str, Any]] = [
        {
            "id": row.id,
            "at": row.at.isoformat(),
            "actor": row.actor,
            "action": row.action,
            "object": row.object,
            "detail": row.detail,
            "hash": row.hash,
        }
        for row in await store.execute(query.with_only_columns(*AuditEntryRow.__table__.columns))
    ]
    return {"entries": rows}


@router.get("/audit/chain", dependencies=[permission("read-audit")])
async def check_audit(board: Board) -> dict[str, object]:
    """Walk the whole trail and check every hash."""
    report = await verify_chain(board.store)
    return {
        "entries": report.entries,
        "intact": report.problem is None,
        "problem": report.problem,
        "head": {"id": report.head[0], "hash": report.head[1]} if report.head else None,
    }


async def _grant(
    connection: AsyncConnection, board: Dashboard, who: Principal, name: str, project: str, role: Role | None
) -> None:
    """Give a role on a project that is there; one that was given before the project vanished can be taken away."""
    if role is not None:
        require_project(who, project, board.configuration.projects)
    if not await users.grant_role(connection, actor=who.actor, name=name, project=project, role=role):
        require_project(who, project, board.configuration.projects)
