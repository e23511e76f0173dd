"""The target lock: one holder, named to the second, given back however the holder ends."""

from __future__ import annotations

import pytest

from web.errors import Conflict
from web.postgres.advisory import lock_holder, target_lock
from web.postgres.connections import connect


@pytest.mark.parametrize("isolation", ["autocommit", "transaction"])
async def test_the_second_is_refused_and_told_who_holds_it(database: str, isolation: str) -> None:
    async with (
        connect(database, application_name="cleanstart/12/1") as first,
        connect(database, autocommit=isolation == "autocommit") as second,
    ):
        async with target_lock(first):
            with pytest.raises(
                Conflict, match=rf"cleanstart/12/1 \(process {first.info.backend_pid}, user postgres"
            ):
                async with target_lock(second):
                    pass
        assert await lock_holder(second) is None
        async with target_lock(second):
            pass


async def test_other_databases_are_free(database: str, database15: str) -> None:
    async with (
        connect(database) as first,
        connect(database15) as second,
        target_lock(first),
        target_lock(second),
    ):
        pass


async def test_a_lost_session_gives_the_lock_back(database: str) -> None:
    async with connect(database) as second:
        with pytest.raises(Exception, match=r"terminat|closed|lost"):
            async with connect(database) as first, target_lock(first):
                await second.execute("SELECT pg_terminate_backend(%s, 10000)", (first.info.backend_pid,))
                await first.execute("SELECT 1")
        async with target_lock(second):
            pass


async def test_an_error_inside_gives_the_lock_back(database: str) -> None:
    async with connect(database) as connection:
        with pytest.raises(ZeroDivisionError):
            async with target_lock(connection):
                raise ZeroDivisionError
        assert await lock_holder(connection) is None
