"""Everybody who may come to the filled site, with their sessions and tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.web.hostile import HOSTILE
from web.access.sessions import digest_of
from web.store.tables import ApiTokenRow, RoleGrantRow, SessionRow, UserRow

#: Who comes: name, roles. Their session ids are `session-NAME` and their form secrets `secret-NAME`.
PEOPLE: dict[str, dict[str, str]] = {
    "stranger": {"ledger": "viewer"},
    "viewer": {"clinic": "viewer"},
    "operator": {"clinic": "operator"},
    "admin": {"*": "admin"},
    "clinic-admin": {"clinic": "admin"},
    "idle": {},
}
TOKEN = "cst_token-of-the-clinic-pipeline-0123456789abcdef"
LEDGER_TOKEN = "cst_token-of-the-ledger-0123456789abcdefghijk"


async def fill_people(connection: AsyncConnection) -> None:
    """Users with live sessions, whose passwords nobody knows, and two tokens."""
    now = datetime.now(UTC)
    for name, grants in PEOPLE.items():
        user = await connection.scalar(
            insert(UserRow)
            .values(
                name=name, display_name=f"{name} {HOSTILE}"[:100], password_hash="nobody signs in with it"
            )
            .returning(UserRow.id)
        )
        for where, role in grants.items():
            await connection.execute(insert(RoleGrantRow).values(user_id=user, project=where, role=role))
        await connection.execute(
            insert(SessionRow).values(
                digest=digest_of(f"session-{name}"),
                user_id=user,
                csrf_secret=f"secret-{name}",
                # So far ahead that no request writes down that it was there.
                last_seen_at=now + timedelta(days=1),
                expires_at=now + timedelta(days=1),
            )
        )
    for name, token, where in (("pipeline <b>", TOKEN, "clinic"), ("ledger", LEDGER_TOKEN, "ledger")):
        await connection.execute(
            insert(ApiTokenRow).values(
                name=name,
                prefix=token[:8],
                digest=digest_of(token),
                project=where,
                role="operator",
                created_by="user:admin",
                last_used_at=now + timedelta(days=1),
            )
        )
