"""Local users and their roles. Every change writes its audit entry first, in the caller's transaction.

Locks are taken in one order, here and at sign-in: the user's row, then the audit trail.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.access import audit
from web.access.passwords import hash_password
from web.access.permissions import EVERY_PROJECT, ROLES, Role
from web.config import is_loopback
from web.errors import Conflict, Invalid, NotFound, Refused
from web.store.tables import RoleGrantRow, SessionRow, UserRow

USER_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")
#: The device cookies that there are were made in another generation.
_OTHER_DEVICES = {"device_generation": UserRow.device_generation + 1}


@dataclass(frozen=True, slots=True)
class User:
    """A local user with the roles they hold, by project (`*` is every project)."""

    id: int
    name: str
    display_name: str
    created_at: datetime
    disabled_at: datetime | None
    grants: Mapping[str, Role]


async def any_users(engine: AsyncEngine) -> bool:
    """Whether there is any user at all, disabled ones included: with one, nobody is let in unasked."""
    async with engine.connect() as connection:
        return bool(await connection.scalar(select(exists().where(UserRow.id.is_not(None)))))


async def require_users_or_loopback(engine: AsyncEngine, host: str) -> None:
    """Refuse to listen on an address that others reach while nobody has to sign in."""
    if not is_loopback(host) and not await any_users(engine):
        raise Refused(
            f"No users are configured, so the dashboard listens on loopback only, and not on {host}.",
            hint="Create a user with `cleanstart users create`, or listen on 127.0.0.1.",
        )


async def list_users(connection: AsyncConnection) -> tuple[User, ...]:
    """All users by name, with their grants."""
    grants: dict[int, dict[str, Role]] = {}
    for grant in await connection.execute(
        select(RoleGrantRow.user_id, RoleGrantRow.project, RoleGrantRow.role).order_by(RoleGrantRow.project)
    ):
        grants.setdefault(grant.user_id, {})[grant.project] = cast(Role, grant.role)
    rows = await connection.execute(
        select(
            UserRow.id, UserRow.name, UserRow.display_name, UserRow.created_at, UserRow.disabled_at
        ).order_by(UserRow.name)
    )
    return tuple(
        User(row.id, row.name, row.display_name, row.created_at, row.disabled_at, grants.get(row.id, {}))
        for row in rows
    )


async def create_user(
    connection: AsyncConnection,
    *,
    actor: str,
    name: str,
    password: str,
    display_name: str = "",
    grants: Mapping[str, Role] | None = None,
) -> int:
    """Create a user who may sign in, with these roles; returns the id.

    Raises:
        Invalid: a name, password or role that cannot be.
        Conflict: the name is taken.
    """
    name = name.strip().lower()
    if not USER_NAME.fullmatch(name):
        raise Invalid(
            "A user name is 1 to 100 of a-z, 0-9 and . _ @ + -, beginning with a letter or a digit."
        )
    for role in (grants or {}).values():
        _require_role(role)
    password_hash = await hash_password(password)
    await audit.append(
        connection,
        actor=actor,
        action="create user",
        object=f"user {name}",
        detail={"grants": dict(grants or {})},
    )
    user = await connection.scalar(
        upsert(UserRow)
        .values(name=name, display_name=display_name.strip() or name, password_hash=password_hash)
        .on_conflict_do_nothing(index_elements=[UserRow.name])
        .returning(UserRow.id)
    )
    if user is None:
        raise Conflict(f"There is a user “{name}” already.")
    if grants:
        await connection.execute(
            insert(RoleGrantRow),
            [{"user_id": user, "project": project, "role": role} for project, role in grants.items()],
        )
    return int(user)


async def grant_role(
    connection: AsyncConnection, *, actor: str, name: str, project: str, role: Role | None
) -> bool:
    """Give a user a role on a project (`*`: on all), in place of the one they had; None takes it away.

    It holds from the user's next request on, and their streams end within seconds. Returns whether there was
    anything to do: nothing is to be taken from whom nothing was given.
    """
    if role is not None:
        _require_role(role)
    user = await _locked_id(connection, name)
    await audit.append(
        connection,
        actor=actor,
        action="grant role" if role else "take role away",
        object=f"user {name}",
        detail={"project": project, "role": role},
    )
    if role is None:
        changed = await connection.execute(
            delete(RoleGrantRow).where(RoleGrantRow.user_id == user, RoleGrantRow.project == project)
        )
    else:
        changed = await connection.execute(
            upsert(RoleGrantRow)
            .values(user_id=user, project=project, role=role)
            .on_conflict_do_update(
                index_elements=[RoleGrantRow.user_id, RoleGrantRow.project], set_={"role": role}
            )
        )
    await _require_an_admin(connection)
    return changed.rowcount > 0


async def set_password(connection: AsyncConnection, *, actor: str, name: str, password: str) -> None:
    """Set a new password, end all the user's sessions and forget their devices."""
    password_hash = await hash_password(password)
    user = await _locked_id(connection, name)
    await audit.append(connection, actor=actor, action="set password", object=f"user {name}")
    await connection.execute(
        update(UserRow).where(UserRow.id == user).values(password_hash=password_hash, **_OTHER_DEVICES)
    )
    await connection.execute(delete(SessionRow).where(SessionRow.user_id == user))


async def forget_devices(connection: AsyncConnection, *, actor: str, name: str) -> None:
    """Let every browser be unknown again until the user signs in with it once more; sessions go on."""
    user = await _locked_id(connection, name)
    await audit.append(connection, actor=actor, action="forget devices", object=f"user {name}")
    await connection.execute(update(UserRow).where(UserRow.id == user).values(**_OTHER_DEVICES))


async def disable_user(connection: AsyncConnection, *, actor: str, name: str) -> None:
    """Disable a user, end all their sessions and forget their devices; streams end within seconds.

    API tokens are left alone.
    """
    user = await _locked_id(connection, name)
    await audit.append(connection, actor=actor, action="disable user", object=f"user {name}")
    await connection.execute(
        update(UserRow)
        .where(UserRow.id == user)
        .values(disabled_at=func.coalesce(UserRow.disabled_at, func.now()), **_OTHER_DEVICES)
    )
    await connection.execute(delete(SessionRow).where(SessionRow.user_id == user))
    await _require_an_admin(connection)


async def enable_user(connection: AsyncConnection, *, actor: str, name: str) -> None:
    """Let a disabled user sign in again."""
    user = await _locked_id(connection, name)
    await audit.append(connection, actor=actor, action="enable user", object=f"user {name}")
    await connection.execute(update(UserRow).where(UserRow.id == user).values(disabled_at=None))


async def require_user(connection: AsyncConnection, name: str) -> None:
    """Lock the user's row until the transaction ends; `NotFound` where there is no such user."""
    await _locked_id(connection, name)


async def _locked_id(connection: AsyncConnection, name: str) -> int:
    """The id of the user, whose row stays locked until the transaction ends."""
    user = await connection.scalar(
        select(UserRow.id).where(UserRow.name == name.strip().lower()).with_for_update()
    )
    if user is None:
        raise NotFound(f"There is no user “{name}”.")
    return user


async def _require_an_admin(connection: AsyncConnection) -> None:
    # The audit trail's lock, taken before, makes two such changes follow one another: no race to zero admins.
    left = await connection.scalar(
        select(func.count())
        .select_from(UserRow)
        .join(RoleGrantRow, RoleGrantRow.user_id == UserRow.id)
        .where(
            UserRow.disabled_at.is_(None), RoleGrantRow.project == EVERY_PROJECT, RoleGrantRow.role == "admin"
        )
    )
    if not left:
        raise Conflict(
            "Nobody would be left who may administer all projects.",
            hint="Make somebody else an administrator first.",
        )


def _require_role(role: str) -> None:
    if role not in ROLES:
        raise Invalid(f"There is no role “{role}”; there are {', '.join(ROLES)}.")
