"""Histories read from files, as Alembic itself would read them, without running any of them."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.tools.written import INI, linear, migration, tool_of, write_project
from web.errors import SourceInvalid
from web.tools.alembic_tool.history_files import read_history


def test_a_line_of_migrations(tmp_path: Path) -> None:
    history = read_history(tmp_path, linear(tmp_path, 5))
    assert [one.revision for one in history.migrations] == ["r0000", "r0001", "r0002", "r0003", "r0004"]
    assert (history.heads, history.bases, history.problems, history.complete) == (
        ("r0004",),
        ("r0000",),
        (),
        True,
    )
    first = history.migrations[0]
    assert (first.message, first.created) == ("step r0000", "2026-01-02 03:04:05")
    assert first.path == "migrations/versions/r0000.py"
    assert first.digest == hashlib.sha256((tmp_path / first.path).read_bytes()).hexdigest()
    assert first.literal


SPELLINGS = [
    ("revision = 'a'\ndown_revision = None", ()),
    ("revision: str = 'a'\ndown_revision: str | None = None", ()),
    ("revision: str = 'a'\ndown_revision: Union[str, None] = 'base1'", ("base1",)),
    ("revision = 'a'\ndown_revision = ('base1', 'base2')", ("base1", "base2")),
    ("revision = 'a'\ndown_revision = ['base1', 'base2']", ("base1", "base2")),
    ("revision, down_revision = 'a', 'base1'", ("base1",)),
    ("ID = 'a'\nPREFIX = 'base'\nrevision = ID\ndown_revision = PREFIX + '1'", ("base1",)),
    ("n = '2'\nrevision = 'a'\ndown_revision = f'base{n}'", ("base2",)),
    ("revision = 'a'\ndown_revision = ('base1',) + ('base2',)", ("base1", "base2")),
]


@pytest.mark.parametrize("text, down", SPELLINGS)
def test_every_spelling_is_read_as_alembic_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, down: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    imports = "from typing import Union\n"
    tool = write_project(
        tmp_path,
        {"base1": migration("base1"), "base2": migration("base2"), "x": f'"""said"""\n{imports}{text}'},
    )
    history = read_history(tmp_path, tool)
    ours = history.get("a")
    assert ours is not None
    assert (ours.down, ours.message, history.problems) == (down, "said", ())
    theirs = ScriptDirectory.from_config(Config(tool.config)).get_revision("a")
    assert theirs._versioned_down_revisions == down
    assert theirs.doc == ours.message


def test_labels_and_dependencies(tmp_path: Path) -> None:
    tool = write_project(
        tmp_path,
        {
            "a": migration("a", branch_labels=("accounts", "people")),
            "b": migration("b", branch_labels="billing"),
            "c": migration("c", "b", depends_on="accounts"),
        },
    )
    history = read_history(tmp_path, tool)
    assert {one.revision: (one.labels, one.depends_on) for one in history.migrations} == {
        "a": (("accounts", "people"), ()),
        "b": (("billing",), ()),
        "c": ((), ("a",)),
    }
    assert history.heads == ("c",)
    assert set(history.branch_heads) == {"a", "c"}


@pytest.mark.parametrize(
    "text",
    [
        "import os\nrevision = 'b'\ndown_revision = os.environ['PREVIOUS']",
        "from elsewhere import down_revision\nrevision = 'b'",
        "revision = 'b'\ndown_revision = 'a'\nif True:\n    down_revision = None",
        "revision = 'b'\ndown_revision = 'a'\nfrom labels import LABEL\nbranch_labels = (LABEL,)",
        "revision = 'b'\ndown_revision = 'a'\ndepends_on = [x for x in 'ab']",
        "down_revision = 'a'\nrevision = compute()",
    ],
)
def test_what_is_computed_is_left_to_the_runner(tmp_path: Path, text: str) -> None:
    history = read_history(tmp_path, write_project(tmp_path, {"a": migration("a"), "b": text}))
    assert not history.complete
    assert "interpreter has to be asked" in history.problems[0]
    found = history.get("b")
    assert found is None or not found.literal
    assert history.get("a") is not None


@pytest.mark.parametrize(
    "text, problem",
    [
        ("def broken(:\n", "versions/x.py is not valid Python, line 1:"),
        ("x = 1", "versions/x.py has no revision id"),
        ("revision = 'b'", "versions/x.py says nothing about its down_revision"),
        ("revision = 'b'\ndown_revision = 'gone'", "Revision b follows gone, which no file has."),
        ("revision = 'a'\ndown_revision = None", "Revision a is in two files:"),
        ("revision = ('b',)\ndown_revision = None", "revision id that is not text"),
        ("revision = 'b-1'\ndown_revision = None", "holds “-”"),
        ("revision = 'b'\ndown_revision = ((), 'a')", "neither a revision id nor a tuple"),
        ("revision = 'b\0'", "versions/x.py is not valid Python"),
    ],
)
def test_broken_files_are_told_and_the_rest_is_read(tmp_path: Path, text: str, problem: str) -> None:
    history = read_history(tmp_path, write_project(tmp_path, {"a": migration("a"), "x": text}))
    assert any(problem in told for told in history.problems), history.problems
    assert "a" in history


def test_files_that_are_no_migrations_are_left_alone(tmp_path: Path) -> None:
    tool = write_project(tmp_path, {"a": migration("a"), "__init__": "", ".#lock": "revision = 'no'"})
    (tmp_path / "migrations/versions/notes.txt").write_text("revision = 'no'")
    (tmp_path / "migrations/versions/deeper").mkdir()
    (tmp_path / "migrations/versions/deeper/z.py").write_text(migration("z", "a"))
    assert [one.revision for one in read_history(tmp_path, tool).migrations] == ["a"]
    tool.config.write_text(INI + "recursive_version_locations = true\n")
    assert [one.revision for one in read_history(tmp_path, tool).migrations] == ["a", "z"]


def test_old_escapes_and_encodings_do_not_disturb(tmp_path: Path) -> None:
    tool = write_project(tmp_path, {"a": migration("a") + "PATTERN = '\\d'\n"})
    (tmp_path / "migrations/versions/b.py").write_bytes(
        "# -*- coding: latin-1 -*-\n'''größer'''\nrevision = 'b'\ndown_revision = 'a'\n".encode("latin-1")
    )
    history = read_history(tmp_path, tool)
    assert history.problems == ()
    assert [one.message for one in history.migrations] == ["step a", "größer"]


def test_without_a_docstring_the_file_name_is_the_message(tmp_path: Path) -> None:
    tool = write_project(tmp_path, {"ab12_add_the_users": "revision = 'ab12'\ndown_revision = None"})
    assert read_history(tmp_path, tool).migrations[0].message == "add the users"


@pytest.mark.parametrize(
    "lines",
    [
        "version_locations = %(here)s/one %(here)s/two",
        "version_locations = %(here)s/one,%(here)s/two",
        "version_path_separator = os\nversion_locations = %(here)s/one:%(here)s/two",
        "path_separator = ;\nversion_locations = %(here)s/one;%(here)s/two",
        "path_separator = newline\nversion_locations =\n    %(here)s/one\n    %(here)s/two",
        "version_locations = one two",
    ],
)
def test_several_version_locations(tmp_path: Path, lines: str) -> None:
    write_project(tmp_path, {}, ini=INI.replace("path_separator = os\n", lines + "\n"))
    for name, text in {"one": migration("a"), "two": migration("b", "a")}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.py").write_text(text)
    assert [one.revision for one in read_history(tmp_path, tool_of(tmp_path)).migrations] == ["a", "b"]


def test_pyproject(tmp_path: Path) -> None:
    linear(tmp_path, 2)
    (tmp_path / "alembic.ini").unlink()
    (tmp_path / "more").mkdir()
    (tmp_path / "more/z.py").write_text(migration("z", "r0001"))
    (tmp_path / "pyproject.toml").write_text(
        '[tool.alembic]\nscript_location = "%(here)s/migrations"\n'
        'version_locations = ["%(here)s/migrations/versions", "%(here)s/more"]\n'
    )
    history = read_history(tmp_path, tool_of(tmp_path, "pyproject.toml"))
    assert [one.revision for one in history.migrations] == ["r0000", "r0001", "z"]


def test_a_named_section_and_a_relative_location(tmp_path: Path) -> None:
    write_project(tmp_path, {"a": migration("a")}, ini="[other]\nscript_location = migrations\n")
    tool = tool_of(tmp_path)
    assert read_history(tmp_path, replace(tool, section="other")).heads == ("a",)
    with pytest.raises(SourceInvalid, match=r"no section \[alembic\]; its sections are \[other\]"):
        read_history(tmp_path, tool)
    elsewhere = replace(tool, section="other", cwd=tmp_path / "migrations")
    with pytest.raises(SourceInvalid, match="does not exist"):
        read_history(tmp_path, elsewhere)


def test_a_location_in_a_package(tmp_path: Path) -> None:
    package = tmp_path / "src" / "shop" / "db"
    (package / "migrations" / "versions").mkdir(parents=True)
    (package / "migrations" / "versions" / "a.py").write_text(migration("a"))
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = shop.db:migrations\n")
    assert read_history(tmp_path, tool_of(tmp_path)).heads == ("a",)


def test_a_package_in_the_interpreter_of_the_project(tmp_path: Path) -> None:
    packages = tmp_path / "venv" / "lib" / "python3.11" / "site-packages" / "shop" / "versions"
    packages.mkdir(parents=True)
    (packages / "a.py").write_text(migration("a"))
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = shop:\n")
    tool = replace(tool_of(tmp_path), python=tmp_path / "venv" / "bin" / "python")
    history = read_history(tmp_path / "app", tool)
    assert history.migrations[0].path == (packages / "a.py").as_posix(), "outside of the source: absolute"


def test_a_package_that_is_not_found_is_left_to_the_runner(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = nowhere.to.be.found:migrations\n")
    history = read_history(tmp_path, tool_of(tmp_path))
    assert (len(history), history.complete) == (0, False)
    assert "nowhere.to.be.found" in history.problems[0]


@pytest.mark.parametrize(
    "ini, sentence",
    [
        (None, "There is no Alembic configuration"),
        ("[alembic]\n", "alembic.ini has no script_location"),
        ("[alembic]\nscript_location = gone\n", "does not exist"),
        ("no section at all\n", "cannot be read"),
        (
            "[alembic]\nscript_location = %(root)s/x\n",
            "uses a variable that only the project's own code sets",
        ),
        (INI, "There are no migrations in"),
    ],
)
def test_where_there_is_no_history_it_says_why(tmp_path: Path, ini: str | None, sentence: str) -> None:
    (tmp_path / "migrations").mkdir()
    if ini is not None:
        (tmp_path / "alembic.ini").write_text(ini)
    with pytest.raises(SourceInvalid, match=sentence):
        read_history(tmp_path, tool_of(tmp_path))


def test_nothing_of_the_project_runs(tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    tool = write_project(tmp_path, {"a": trap + migration("a")}, env_py=trap)
    read_history(tmp_path, tool)
    assert not (tmp_path / "ran").exists()
    assert not [name for name in sys.modules if name.startswith("a_py")]


def test_a_folder_with_a_percent_sign(tmp_path: Path) -> None:
    folder = tmp_path / "100%s done"
    folder.mkdir()
    assert read_history(folder, linear(folder, 1)).heads == ("r0000",)
