"""Looks a principal up again: whether what it stands on (session, token, local mode) still holds."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from web.access.permissions import Principal
from web.access.sessions import session_by_digest
from web.access.tokens import token_by_id
from web.access.users import any_users


async def present(engine: AsyncEngine, principal: Principal) -> Principal | None:
    """The principal with the roles it has now; None where session or token has ended, or local mode has."""
    async with engine.connect() as connection:
        if principal.session is not None:
            session = await session_by_digest(connection, principal.session)
            return session.principal if session else None
        if principal.token_id is not None:
            return await token_by_id(connection, principal.token_id)
    return None if await any_users(engine) else principal
