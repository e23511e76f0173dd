"""`/healthz` and `/readyz`: for machines that watch this one. They tell nothing that a stranger may not know."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from sqlalchemy import text

from web.access.requests import public
from web.dashboard import Board

router = APIRouter()


@router.get("/healthz", dependencies=[public()])
async def alive() -> PlainTextResponse:
    """The process answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz", dependencies=[public()])
async def ready(board: Board) -> PlainTextResponse:
    """The store answers and news of it arrive; 503 where one of them does not."""
    try:
        async with board.store.connect() as store:
            await store.execute(text("SELECT 1"))
    except Exception:
        return PlainTextResponse("the store does not answer\n", 503)
    if not board.feed.listening:
        return PlainTextResponse("not listening to the store yet\n", 503)
    return PlainTextResponse("ok\n")
