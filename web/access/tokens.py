"""API tokens for CI and scripts. Only a token's SHA-256 is stored; it is shown once, when it is made."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.access import audit
from web.access.permissions import EVERY_PROJECT, ROLES, Principal, Role, require
from web.errors import Conflict, Invalid, NotFound
from web.store.tables import ApiTokenRow

#: Makes a leaked token recognisable to secret scanners.
PREFIX = "cst_"
#: The last use is written down at most this often.
USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Token:
    """What can be shown of a token."""

    id: int
    name: str
    prefix: str
    project: str
    role: Role
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


async def create_token(
    connection: AsyncConnection,
    *,
    by: Principal,
    name: str,
    project: str,
    role: Role,
    lifetime: timedelta | None = None,
) -> str:
    """Make a token for a project (`*`: for all) and return it; this is the only time it can be seen.

    Raises:
        OperationNotAllowed: `by` does not administer that project.
        Invalid, Conflict: a name or a role that cannot be; a name that is taken.
    """
    require(by, "manage-tokens", None if project == EVERY_PROJECT else project)
    name = name.strip()
    if not name or len(name) > 100 or not name.isprintable():
        raise Invalid("A token needs a name of 1 to 100 characters.")
    if role not in ROLES:
        raise Invalid(f"There is no role “{role}”; there are {', '.join(ROLES)}.")
    if lifetime is not None and lifetime <= timedelta(0):
        raise Invalid("A token's lifetime is longer than nothing.")
    token = PREFIX + secrets.token_urlsafe(32)
    await audit.append(
        connection,
        actor=by.actor,
        action="create token",
        object=f"token {name}",
        detail={"project": project, "role": role, "lifetime": str(lifetime) if lifetime else None},
    )
    made = await connection.scalar(
        insert(ApiTokenRow)
        .values(
            name=name,
            prefix=token[: len(PREFIX) + 4],
            digest=_digest(token),
            project=project,
            role=role,
            created_by=by.actor,
            expires_at=datetime.now(UTC) + lifetime if lifetime else None,
        )
        .on_conflict_do_nothing(index_elements=[ApiTokenRow.name])
        .returning(ApiTokenRow.id)
    )
    if made is None:
        raise Conflict(
            f"There is a token “{name}” already.", hint="Revoked tokens keep their names: choose another."
        )
    return token


async def revoke_token(connection: AsyncConnection, *, by: Principal, name: str) -> None:
    """End a token; it is refused from the next request on. `NotFound` where there is none of this name."""
    row = (
        await connection.execute(
            select(ApiTokenRow.id, ApiTokenRow.project).where(ApiTokenRow.name == name).with_for_update()
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no token “{name}”.")
    require(by, "manage-tokens", None if row.project == EVERY_PROJECT else row.project)
    await audit.append(connection, actor=by.actor, action="revoke token", object=f"token {name}")
    await connection.execute(
        update(ApiTokenRow)
        .where(ApiTokenRow.id == row.id)
        .values(revoked_at=func.coalesce(ApiTokenRow.revoked_at, func.now()))
    )


async def list_tokens(connection: AsyncConnection) -> tuple[Token, ...]:
    """All tokens by name, revoked ones included."""
    columns = [getattr(ApiTokenRow, field) for field in Token.__dataclass_fields__]
    rows = await connection.execute(select(*columns).order_by(ApiTokenRow.name))
    return tuple(Token(*row) for row in rows)


async def find_token(engine: AsyncEngine, token: str) -> Principal | None:
    """The principal of a token that is in force; None for any other text."""
    if not token.startswith(PREFIX):
        return None
    async with engine.connect() as connection:
        row = (
            await connection.execute(select(ApiTokenRow.id).where(ApiTokenRow.digest == _digest(token)))
        ).one_or_none()
        principal = await token_by_id(connection, row.id) if row else None
        if principal is not None:
            used = await connection.execute(
                update(ApiTokenRow)
                .where(
                    ApiTokenRow.id == principal.token_id,
                    or_(
                        ApiTokenRow.last_used_at.is_(None), ApiTokenRow.last_used_at < func.now() - USED_EVERY
                    ),
                )
                .values(last_used_at=func.now())
            )
            if used.rowcount:
                await connection.commit()
    return principal


async def token_by_id(connection: AsyncConnection, token_id: int) -> Principal | None:
    """The principal of a token, if it is in force now."""
    row = (
        await connection.execute(
            select(ApiTokenRow.name, ApiTokenRow.project, ApiTokenRow.role).where(
                ApiTokenRow.id == token_id,
                ApiTokenRow.revoked_at.is_(None),
                or_(ApiTokenRow.expires_at.is_(None), ApiTokenRow.expires_at > func.now()),
            )
        )
    ).one_or_none()
    if row is None:
        return None
    return Principal(
        f"token:{row.name}", row.name, "token", {row.project: cast(Role, row.role)}, token_id=token_id
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
