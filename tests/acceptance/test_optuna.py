"""Real projects from PyPI, their env.py untouched: empty to head through a job, then zero drift.

On PostgreSQL 17 and 15, each with a scratch server of its own major.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.installation import Installation, query
from tests.conftest import fresh_database
from tests.tools.foreign import Foreign, foreign
from web.postgres.embedded import EmbeddedServer

pytestmark = pytest.mark.xdist_group("acceptance of foreign projects")

#: What mlflow itself does in an empty database before its migrations, written down as SQL.
MLFLOW_TABLES = """
from sqlalchemy import create_mock_engine
from mlflow.store.tracking.dbmodels.initial_models import Base

engine = create_mock_engine(
    "postgresql://", lambda sql, *_, **__: print(str(sql.compile(dialect=engine.dialect)).strip() + ";")
)
Base.metadata.create_all(engine, checkfirst=False)
"""


@pytest.fixture(scope="module")
def targets(server: EmbeddedServer, server15: EmbeddedServer) -> Iterator[dict[str, str]]:
    """URLs of empty databases: `optuna/pg17` and so on."""
    with (
        fresh_database(server) as optuna17,
        fresh_database(server15) as optuna15,
        fresh_database(server) as mlflow17,
        fresh_database(server15) as mlflow15,
    ):
        yield {
            "optuna/pg17": optuna17,
            "optuna/pg15": optuna15,
            "mlflow/pg17": mlflow17,
            "mlflow/pg15": mlflow15,
        }


@pytest.fixture(scope="module")
def both(
    cleanstart: Installation, targets: dict[str, str], server: EmbeddedServer, server15: EmbeddedServer
) -> Installation:
    """An installation that looks after both projects, and its worker."""
    optuna, mlflow = foreign("optuna"), foreign("mlflow")
    (cleanstart.folder / "mlflow.sql").write_text(mlflow_tables(mlflow))
    cleanstart.configure(
        {
            "optuna": {
                "source": str(optuna.packages / "optuna" / "storages" / "_rdb"),
                "alembic": {
                    "config": "alembic.ini",
                    "python": str(optuna.python),
                    "url_driver": "postgresql+psycopg2",
                },
                "environments": environments(cleanstart, "optuna", targets),
            },
            "mlflow": {
                "source": str(mlflow.packages),
                "alembic": {
                    "config": "mlflow/store/db_migrations/alembic.ini",
                    "cwd": ".",
                    "python": str(mlflow.python),
                    "url_driver": "postgresql+psycopg2",
                    "prelude": {"sql": str(cleanstart.folder / "mlflow.sql")},
                },
                "environments": environments(cleanstart, "mlflow", targets),
            },
        },
        scratch={
            "15": cleanstart.secret("scratch15", server15.url()),
            "17": cleanstart.secret("scratch17", server.url()),
        },
    )
    cleanstart.work()
    return cleanstart


def environments(cleanstart: Installation, project: str, targets: dict[str, str]) -> dict[str, Any]:
    return {
        name: {
            "url": cleanstart.secret(f"{project}-{name}", targets[f"{project}/{name}"]),
            "tier": "development",
        }
        for name in ("pg17", "pg15")
    }


def mlflow_tables(mlflow: Foreign) -> str:
    """The prelude, as mlflow's own models say it."""
    made = subprocess.run(
        [str(mlflow.python), "-c", MLFLOW_TABLES], capture_output=True, text=True, check=True, cwd="/"
    )
    assert made.stdout.count("CREATE TABLE") > 3, made
    return made.stdout


def digests(folder: Path) -> dict[str, str]:
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.rglob("*.py")}


@pytest.mark.parametrize("where", ["optuna/pg17", "optuna/pg15", "mlflow/pg17", "mlflow/pg15"])
def test_from_empty_to_head(both: Installation, targets: dict[str, str], where: str) -> None:
    """Complete history, empty to head through a job, no drift, then one column by hand is one difference."""
    project, name = where.split("/")
    place = foreign(project).packages / project
    before = digests(place)
    if where == "mlflow/pg15":
        # As mlflow does at its first start; in the other, empty database the job itself runs the prelude.
        query(targets[where], (both.folder / "mlflow.sql").read_text())

    both.succeed("observe", where)
    history = both("history", project, "--format", "json").json["history"]
    assert history["problems"] == []
    revisions = [each["revision"] for each in history["migrations"]]
    assert len(revisions) == {"optuna": 10, "mlflow": len(revisions)}[project] >= 10
    seen = both("status", where, "--format", "json").json
    assert "never migrated" in seen["also"], seen
    assert (len(seen["pending"]), seen["observation"]["revisions"]) == (len(revisions), [])
    assert seen["observation"]["server_version"] // 10000 == int(name[2:])

    done = both.succeed("migrate", where)
    assert sorted(done["outcome"]["data"]["applied"]) == sorted(revisions)

    seen = both("status", where, "--format", "json").json
    assert seen["verdict"] == "in sync", seen
    drift = both("drift", where, "--format", "json")
    assert (drift.code, drift.json["state"], drift.json["differences"]) == (0, "none", [])
    assert drift.json["a"]["fingerprint"] is not None

    table = {"optuna": "studies", "mlflow": "experiments"}[project]
    query(targets[where], f"ALTER TABLE {table} ADD COLUMN by_hand integer")
    both.succeed("observe", where)
    drift = both("drift", where, "--format", "json")
    assert (drift.code, drift.json["state"]) == (1, "drifted")
    (difference,) = drift.json["differences"]
    assert (difference["kind"], difference["change"]) == ("column", "added")
    assert difference["object"] == f"public.{table}.by_hand"
    assert digests(place) == before
