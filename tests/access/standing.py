"""Whether a principal may still do something, as a stream asks it every few seconds."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from web.access.permissions import Principal, may
from web.access.principals import present


async def still_may(engine: AsyncEngine, principal: Principal, permission: str, project: str | None) -> bool:
    now = await present(engine, principal)
    return now is not None and may(now, permission, project)
