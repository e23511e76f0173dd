"""Waiting for a store that is away: which errors pass by themselves, and trying again after them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg
from procrastinate.exceptions import ConnectorException
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: SQLSTATEs (beside a lost connection, which has none) after which the same write may simply be tried again:
#: shutting down, crashed, starting up, idle in a transaction for too long, deadlock,
#: serialization, too many clients.
_PASSING = {"57P01", "57P02", "57P03", "25P03", "40P01", "40001", "53300"}


async def patiently(action: Callable[[], Awaitable[T]]) -> T:
    """Do something with the store, and again after a pause while it is away. After other errors never."""
    pause = 0.1
    while True:
        try:
            return await action()
        except Exception as error:
            if not passes(error):
                raise
            logger.warning("The store does not answer (%s); trying again.", type(error).__name__)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 2.0)


def passes(error: BaseException) -> bool:
    """Whether an error is the store being away, which passes, and not a statement being wrong."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        error = error.orig or error
    if isinstance(error, ConnectorException) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, psycopg.Error):
        state = error.sqlstate
        if state is None:
            return isinstance(error, psycopg.OperationalError)
        return state in _PASSING or state.startswith("08")
    return isinstance(error, PoolTimeout | OSError)
