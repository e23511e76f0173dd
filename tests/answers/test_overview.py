"""The overview: all cells in a fixed number of queries, what hurts most first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import event, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.answers.test_verdict import FORK, LINE
from tests.configured import configuration, environment, project
from tests.stored import store_backup, store_history, store_observation
from web.answers.builds import record_deployment, register_build
from web.answers.gate import reset_gate
from web.answers.overview import read_overview
from web.config import AlembicSettings, Project, ResetPolicy
from web.errors import SourceInvalid
from web.observation.first_seen import keep_evidence
from web.observation.records import read_records
from web.store.tables import DoubtRow, EnvironmentRow, HistoryRow, JobRow, JobTargetRow


@contextmanager
def counted(store: AsyncEngine) -> Iterator[list[str]]:
    statements: list[str] = []

    def count(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    event.listen(store.sync_engine, "before_cursor_execute", count)
    try:
        yield statements
    finally:
        event.remove(store.sync_engine, "before_cursor_execute", count)


def projects(folder: Path, *names: str) -> list[Project]:
    tool = AlembicSettings(config=folder / "alembic.ini", python=folder / "python")
    url = "postgresql://nobody@127.0.0.1:1/none"
    return [
        project(
            folder,
            tool,
            environment(folder, url, project=name),
            environment(folder, url, "staging", project=name, tier="staging"),
            environment(folder, url, "production", project=name, tier="production"),
            name=name,
        )
        for name in names
    ]


async def test_cells_and_what_needs_attention(store: AsyncEngine, tmp_path: Path) -> None:
    clinic, billing, lab = projects(tmp_path, "clinic", "billing", "lab")
    configured = configuration(tmp_path, clinic, billing, lab)
    refused = {"title": "The database cannot be reached", "message": "connection refused", "hint": ""}
    async with store.begin() as connection:
        await store_history(connection, "clinic", LINE)
        await store_history(connection, "billing", FORK)
        await connection.execute(
            insert(HistoryRow).values(
                project="lab",
                digest="x",
                error=SourceInvalid("There are no migrations in /srv/lab.").to_store(),
                read_at=datetime.now(UTC),
            )
        )
        await register_build(connection, clinic, 47, LINE, by="ci")
        await record_deployment(connection, clinic.environments["staging"], 47, by="ci")
        staging = await store_observation(
            connection, clinic.environments["staging"], "c", drift_state="drifted", drift_count=4
        )
        await keep_evidence(connection, staging, LINE, ("c",), datetime.now(UTC))
        production = await store_observation(connection, clinic.environments["production"], "a")
        await store_backup(connection, production)
        await store_observation(connection, billing.environments["dev"], "b")
        await store_observation(
            connection, billing.environments["production"], "b", reachable=False, error=refused
        )
        await connection.execute(
            update(EnvironmentRow)
            .where(EnvironmentRow.id == staging)
            .values(system_identifier="7412", database_oid=2)
        )
        reset = await connection.scalar(
            insert(JobRow)
            .values(
                kind="reset",
                project="billing",
                environment_id=staging,
                parameters={},
                mutating=True,
                state="unknown",
                requested_by="ana",
                finished_at=datetime.now(UTC),
                outcome={"title": "Not known"},
            )
            .returning(JobRow.id)
        )
        await connection.execute(
            insert(JobTargetRow).values(
                job_id=reset, system_identifier="7412", database_oid=2, unfinished=False
            )
        )
        await connection.execute(
            insert(DoubtRow).values(
                job_id=reset, sort="outcome not known", what="The seed was cut off.", by_check=False
            )
        )
        await connection.execute(
            insert(JobRow).values(
                kind="backup",
                project="billing",
                environment_id=production,
                parameters={},
                mutating=True,
                state="running",
                requested_by="ana",
                step="dump",
                done=61,
                total=100,
                unit="%",
            )
        )
    with counted(store) as statements:
        async with store.connect() as connection:
            overview = await read_overview(connection, configured)
    assert len([each for each in statements if each != "-- ping"]) <= 6
    cells = {row.project.name: row.cells for row in overview.rows}
    assert {name: cell.verdict.standing for name, cell in cells["clinic"].items()} == {
        "dev": "not known",
        "staging": "in sync",
        "production": "pending",
    }
    assert cells["clinic"]["production"].head == "c"
    record = cells["clinic"]["staging"].record
    assert record is not None
    assert record.build is not None
    assert record.build.number == 47
    job = cells["clinic"]["production"].record
    assert job is not None
    assert job.job is not None
    assert (job.job.kind, job.job.done, job.job.total) == ("backup", 61, 100)
    assert cells["billing"]["dev"].head is None
    worst = overview.rows[1].worst
    assert worst is not None
    assert worst.words == "Unreachable"
    assert [
        (each.hurt, each.project.name, each.environment.name if each.environment else None)
        for each in overview.attention
        if each.hurt != "not checked"
    ] == [
        ("outcome unknown", "clinic", "staging"),
        ("unreachable", "billing", "production"),
        ("history", "billing", "dev"),
        ("drift", "clinic", "staging"),
        ("source", "lab", None),
        ("pending", "clinic", "production"),
    ]
    assert all(each.sentence and each.status for each in overview.attention)


async def test_an_edit_shows_on_the_overview(store: AsyncEngine, tmp_path: Path) -> None:
    (clinic,) = projects(tmp_path, "clinic")
    configured = configuration(tmp_path, clinic)
    edited = LINE.from_json(
        {
            **LINE.to_json(),
            "migrations": [
                {**row, "digest": "edited"} if row["revision"] == "b" else row
                for row in LINE.to_json()["migrations"]  # type: ignore[attr-defined]
            ],
        }
    )
    async with store.begin() as connection:
        await store_history(connection, "clinic", edited)
        dev = await store_observation(connection, clinic.environments["dev"], "c")
        await keep_evidence(connection, dev, LINE, ("c",), datetime.now(UTC))
        overview = await read_overview(connection, configured)
        found = overview.rows[0].cells["dev"].verdict
        assert (found.standing, found.edited) == ("edited after apply", ("b",))
        # Applied anew after a reset, the file as it is now is the evidence.
        await keep_evidence(connection, dev, edited, (), datetime.now(UTC))
        await keep_evidence(connection, dev, edited, ("c",), datetime.now(UTC))
        overview = await read_overview(connection, configured)
        assert overview.rows[0].cells["dev"].verdict.standing == "in sync"


async def test_an_unknown_row_does_not_wipe_the_evidence(store: AsyncEngine, tmp_path: Path) -> None:
    (clinic,) = projects(tmp_path, "clinic")
    async with store.begin() as connection:
        dev = await store_observation(connection, clinic.environments["dev"], "c")
        await keep_evidence(connection, dev, LINE, ("c",), datetime.now(UTC))
        await keep_evidence(connection, dev, FORK, ("zz",), datetime.now(UTC))
        await store_history(connection, "clinic", LINE)
        overview = await read_overview(connection, configuration(tmp_path, clinic))
    assert overview.rows[0].cells["dev"].verdict.standing == "in sync"


async def test_an_old_look_needs_attention(store: AsyncEngine, tmp_path: Path) -> None:
    (clinic,) = projects(tmp_path, "clinic")
    async with store.begin() as connection:
        await store_history(connection, "clinic", LINE)
        await store_observation(connection, clinic.environments["dev"], "c", age=timedelta(hours=1))
        overview = await read_overview(connection, configuration(tmp_path, clinic))
    assert [
        each.sentence for each in overview.attention if each.environment and each.environment.name == "dev"
    ] == ["has not been checked for a while"]


async def test_five_hundred_environments_cost_no_more_queries(store: AsyncEngine, tmp_path: Path) -> None:
    many = projects(tmp_path, *(f"p{number}" for number in range(167)))
    async with store.begin() as connection:
        for each in many:
            await store_history(connection, each.name, LINE)
            for where in each.environments.values():
                await store_observation(connection, where, "b")
    with counted(store) as statements:
        async with store.connect() as connection:
            overview = await read_overview(connection, configuration(tmp_path, *many))
    assert len(statements) <= 6
    assert len(overview.rows) == 167
    assert all(cell.verdict.standing == "pending" for row in overview.rows for cell in row.cells.values())


async def test_the_gate_of_a_reset(store: AsyncEngine, tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"
    may = environment(tmp_path, url, reset=ResetPolicy())
    may_not = environment(tmp_path, url, "staging", tier="staging")
    never = environment(tmp_path, url, "production", tier="production", reset=ResetPolicy())
    async with store.begin() as connection:
        environment_id = await store_observation(connection, may)
        record = (await read_records(connection))["clinic", "dev"]
        assert {each.name for each in reset_gate(may, record).closed_by} == {"identity", "verified backup"}
        await store_backup(connection, environment_id, age=timedelta(hours=1))
        record = (await read_records(connection))["clinic", "dev"]
        assert {each.name for each in reset_gate(may, record).closed_by} == {"identity"}
    assert "policy" in {each.name for each in reset_gate(may_not, record).closed_by}
    assert "policy" in {each.name for each in reset_gate(never, record).closed_by}
    assert not reset_gate(may, None).open
