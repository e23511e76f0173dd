"""The audit trail: what breaks the chain, and who cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from web.access import audit
from web.store.database import open_store


@pytest.fixture
async def owner(store_owner_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the same store as the role that owns its tables."""
    engine = open_store(store_owner_url)
    yield engine
    await engine.dispose()


async def act(engine: AsyncEngine, object_: str, **detail: object) -> int:
    async with engine.begin() as connection:
        return await audit.append(
            connection, actor="user:ada", action="migrate", object=object_, detail=detail
        )


async def test_a_chain_of_entries(store: AsyncEngine) -> None:
    assert await audit.verify_chain(store) == audit.ChainReport(0, None, None)
    assert await act(store, "clinic/dev", job=1) == 1
    assert await act(store, "clinic/dev", job=2) == 2
    report = await audit.verify_chain(store)
    assert (report.entries, report.problem) == (2, None)
    assert report.head is not None
    assert report.head[0] == 2


async def test_anything_that_json_holds_comes_back_with_the_same_hash(store: AsyncEngine) -> None:
    await act(
        store,
        'na"me <b> 🏥 \0 \ud800',
        text="“x” \0 \udfff é\n\\",
        big=10**30,
        none=None,
        flags=[True, False, -1],
        nested={"b": 1, "a": {"z": [], "é": {}}},
    )
    assert (await audit.verify_chain(store)).problem is None


async def test_a_fraction_is_refused_before_anything_is_written(store: AsyncEngine) -> None:
    with pytest.raises(TypeError, match="float"):
        await act(store, "clinic/dev", share=0.5)
    assert (await audit.verify_chain(store)).entries == 0


async def test_many_at_once_are_one_chain(store: AsyncEngine) -> None:
    numbers = await asyncio.gather(*(act(store, f"clinic/{number}") for number in range(40)))
    assert sorted(numbers) == list(range(1, 41))
    report = await audit.verify_chain(store)
    assert (report.entries, report.problem) == (40, None)


async def test_an_act_that_is_rolled_back_leaves_no_gap(store: AsyncEngine) -> None:
    await act(store, "clinic/dev")
    async with store.connect() as connection:
        await audit.append(connection, actor="user:ada", action="reset", object="clinic/dev")
        await connection.rollback()
    assert await act(store, "clinic/dev") == 2
    assert (await audit.verify_chain(store)).problem is None


@pytest.mark.parametrize(
    ("tampering", "problem"),
    [
        ("UPDATE audit_entry SET actor = 'user:eve' WHERE id = 3", "entry 3 was changed"),
        ("UPDATE audit_entry SET at = at + interval '1 microsecond' WHERE id = 3", "entry 3 was changed"),
        ("UPDATE audit_entry SET detail = detail || '{\"x\": 1}' WHERE id = 3", "entry 3 was changed"),
        ("UPDATE audit_entry SET hash = repeat('0', 64) WHERE id = 3", "entry 3 was changed"),
        ("UPDATE audit_entry SET id = 9 WHERE id = 3", "entry 3 is missing"),
        ("DELETE FROM audit_entry WHERE id = 3", "entry 3 is missing"),
        ("DELETE FROM audit_entry WHERE id = 1", "entry 1 is missing"),
        (
            "DELETE FROM audit_entry WHERE id = 3; UPDATE audit_entry SET id = id - 1 WHERE id > 3",
            "entry 3 does not follow the entry before it",
        ),
    ],
)
async def test_tampering_is_found(
    store: AsyncEngine, owner: AsyncEngine, tampering: str, problem: str
) -> None:
    for number in range(5):
        await act(store, "clinic/dev", number=number)
    async with owner.begin() as connection:
        for statement in tampering.split("; "):
            await connection.execute(text(statement.replace(": 1", "\\: 1")))
    report = await audit.verify_chain(store)
    assert report.problem == problem


async def test_a_cut_off_end_is_found_with_what_was_written_down(
    store: AsyncEngine, owner: AsyncEngine
) -> None:
    for _ in range(5):
        await act(store, "clinic/dev")
    known = (await audit.verify_chain(store)).head
    async with owner.begin() as connection:
        await connection.execute(text("DELETE FROM audit_entry WHERE id > 3"))
    assert (await audit.verify_chain(store)).problem is None
    missing = "entry 5 is missing, or not the one written down"
    assert (await audit.verify_chain(store, known=known)).problem == missing
    for _ in range(3):
        await act(store, "clinic/other")
    assert (await audit.verify_chain(store, known=known)).problem == missing


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET actor = 'user:eve'",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
        "DROP TABLE audit_entry",
        "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
    ],
)
async def test_the_runtime_role_may_only_insert_and_read(store: AsyncEngine, statement: str) -> None:
    await act(store, "clinic/dev")
    async with store.connect() as connection:
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
            await connection.execute(text(statement))
    assert (await audit.verify_chain(store)).entries == 1
