"""The digest of what a run of a project's code stands on: whatever a run could see of a change changes it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.tools.runs import ALEMBIC, project_of
from tests.tools.written import linear
from web.config import Prelude, Project
from web.tools import inputs
from web.tools.alembic_tool.settings import settings_of


def _installed(folder: Path, record: str = "psycopg/__init__.py,sha256=1,2\n") -> Path:
    """An interpreter with one package, as far as files tell."""
    packages = folder / "lib" / "python3.11" / "site-packages"
    (packages / "psycopg-3.2.dist-info").mkdir(parents=True, exist_ok=True)
    (packages / "psycopg-3.2.dist-info" / "RECORD").write_text(record)
    (folder / "bin").mkdir(exist_ok=True)
    python = folder / "bin" / "python"
    if not python.exists():
        python.symlink_to(os.path.realpath("/bin/sh"))
    (folder / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.7\n")
    return python


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    (tmp_path / "shop").mkdir()
    tool = linear(tmp_path / "shop", 2)
    return project_of(tmp_path / "shop", replace(tool, python=_installed(tmp_path / "venv")))


def _write(name: str, text: str = "changed") -> Callable[[Project, Path], Project]:
    def change(shop: Project, folder: Path) -> Project:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        return shop

    return change


def _set(**values: Any) -> Callable[[Project, Path], Project]:
    return lambda shop, folder: replace(shop, tool=replace(shop.tool, **values))


def _driver_installed(shop: Project, folder: Path) -> Project:
    (folder / "venv/lib/python3.11/site-packages/asyncpg-1.dist-info").mkdir()
    return _write("venv/lib/python3.11/site-packages/asyncpg-1.dist-info/RECORD")(shop, folder)


def _package_upgraded(shop: Project, folder: Path) -> Project:
    _installed(folder / "venv", "psycopg/__init__.py,sha256=2,2\n")
    return shop


CHANGES = {
    "env.py": _write("shop/migrations/env.py"),
    "a template": _write("shop/migrations/script.py.mako"),
    "what env.py imports": _write("shop/app/settings.py"),
    "a file beside the migrations": _write("shop/migrations/versions/helper.sql"),
    "a migration": _write("shop/migrations/versions/r0000.py"),
    "alembic.ini": _write("shop/alembic.ini", "[alembic]\nscript_location = migrations\n"),
    "a pyproject.toml beside it": _write("shop/pyproject.toml", "[tool.alembic]\n"),
    "a driver is installed": _driver_installed,
    "a package is upgraded": _package_upgraded,
    "a package without records": _write("venv/lib/python3.11/site-packages/loose/__init__.py"),
    "the interpreter's version": _write("venv/pyvenv.cfg", "home = /usr/bin\nversion = 3.11.8\n"),
    "form of the URL": _set(url_driver="postgresql+asyncpg"),
    "variable of the URL": _set(url_variable="DB"),
    "x arguments": _set(x_arguments=("db",)),
    "commands": _set(commands={"upgrade": ("shop", "upgrade")}),
    "prelude": _set(prelude=Prelude(command=("true",))),
    "version table": _set(version_table="v"),
    "section": _set(section="other"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_a_run_could_see_changes_it(shop: Project, tmp_path: Path, name: str) -> None:
    before = ALEMBIC.digest_of_inputs(shop)
    assert before is not None
    assert ALEMBIC.digest_of_inputs(shop) == before
    changed = CHANGES[name](shop, tmp_path)
    assert ALEMBIC.digest_of_inputs(changed) not in (before, None)


def test_a_prelude_that_lies_elsewhere(shop: Project, tmp_path: Path) -> None:
    shop = replace(shop, tool=replace(shop.tool, prelude=Prelude(sql=tmp_path / "prelude.sql")))
    digests = set()
    for text in ("SELECT 1", "SELECT 2"):
        (tmp_path / "prelude.sql").write_text(text)
        digests.add(ALEMBIC.digest_of_inputs(shop))
    assert len(digests) == 2


def test_what_says_nothing_about_a_run_changes_nothing(shop: Project) -> None:
    before = ALEMBIC.digest_of_inputs(shop)
    assert ALEMBIC.digest_of_inputs(replace(shop, title="Other")) == before
    patient = replace(shop.tool, time_limit=timedelta(hours=9))
    assert ALEMBIC.digest_of_inputs(replace(shop, tool=patient)) == before


def test_migrations_that_the_caller_knows_are_left_to_it(shop: Project, tmp_path: Path) -> None:
    known = ["migrations/versions/r0000.py", "migrations/versions/r0001.py", "migrations/versions/r0002.py"]
    before = ALEMBIC.digest_of_inputs(shop, without=known)
    _write("shop/migrations/versions/r0002.py")(shop, tmp_path)
    assert ALEMBIC.digest_of_inputs(shop, without=known) == before
    assert ALEMBIC.digest_of_inputs(shop, without=known[:2]) != before


def test_where_it_cannot_be_told_there_is_none(
    shop: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = replace(settings_of(shop), python=tmp_path / "nothing" / "bin" / "python")
    assert ALEMBIC.digest_of_inputs(replace(shop, tool=nowhere)) is None
    with monkeypatch.context() as patched:
        patched.setattr(inputs, "_MOST_FILES", 2)
        assert ALEMBIC.digest_of_inputs(shop) is None
    packages = tmp_path / "venv/lib/python3.11/site-packages"
    (packages / "__editable___shop_finder.py").write_text("import sys\n")
    assert ALEMBIC.digest_of_inputs(shop) is None
    # setuptools' own says where it leads.
    (tmp_path / "elsewhere").mkdir()
    (packages / "__editable___shop_finder.py").write_text(
        f"MAPPING: dict[str, str] = {{'app': {str(tmp_path / 'elsewhere')!r}}}\n"
    )
    before = ALEMBIC.digest_of_inputs(shop)
    (tmp_path / "elsewhere" / "models.py").write_text("x = 1")
    assert ALEMBIC.digest_of_inputs(shop) not in (before, None)


def test_what_is_imported_from_elsewhere_is_named(shop: Project, tmp_path: Path) -> None:
    """Project code finds only what the configuration names; `doctor` says what that leaves out."""
    assert list(ALEMBIC.misfits(shop)) == []
    library, path = tmp_path / "library", tmp_path / "path"
    library.mkdir()
    path.mkdir()
    (packages,) = shop.tool.program.parent.parent.glob("lib/python3*/site-packages")
    (packages / "library.pth").write_text(f"{library}\n")
    assert isinstance(shop.source, Path)
    ini = shop.source / "alembic.ini"
    ini.write_text(ini.read_text().replace("prepend_sys_path = .", f"prepend_sys_path = {path}"))
    (told,) = ALEMBIC.misfits(shop)
    assert told.about == "imports"
    assert told.message.endswith(f"does not find: {library}, {path}.")
    assert list(ALEMBIC.misfits(replace(shop, readable=(library, path)))) == []
