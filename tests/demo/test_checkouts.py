"""A build's checkout holds exactly the revisions that the build is said to have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from demo.build import DATABASES
from demo.checkouts import BUILDS, CLINIC, DEPLOYMENTS, DemoBuild, check_out
from tests.demo.clinic import TOOL
from web.tools.alembic_tool.history_files import read_history
from web.tools.history import History


def history_of(folder: Path) -> History:
    return read_history(folder, replace(TOOL, config=folder / "backend" / "alembic.ini"))


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: f"#{build.number}")
def test_checkout(build: DemoBuild, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    (folder / "left over").mkdir(parents=True)
    assert check_out(build.number, folder) == build
    history = history_of(folder)
    assert not history.problems
    assert history.heads == (build.head,)
    newest = history_of(CLINIC)
    assert {migration.revision for migration in newest.migrations} - {
        migration.revision for migration in history.migrations
    } == set(build.without)
    assert not (folder / "left over").exists()


def test_production_runs_the_build_of_its_revision() -> None:
    (production,) = (database for database in DATABASES if database.environment == "production")
    running = {deployment.environment: deployment.build for deployment in DEPLOYMENTS}
    heads = {build.number: build.head for build in BUILDS}
    assert running["production"] == 47
    assert heads[47] == production.revision


def test_pending_on_each_environment() -> None:
    history = history_of(CLINIC)
    pending = {database.environment: len(history.pending([database.revision])) for database in DATABASES}
    assert pending == {"dev": 0, "staging": 2, "production": 3}


def test_an_unknown_build(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        check_out(49, tmp_path / "checkout")
