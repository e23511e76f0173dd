"""The handbook stays true: keys, commands, links, and how one begins are those that there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from web.cli.program import program
from web.config import load
from web.config.document import Table
from web.config.reading import TOOLS
from web.operations import KINDS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted(DOCS.glob("*.md"))]
#: Every table that there is, so that the reader asks for each; a project has one of the tools.
EVERYTHING = """
[projects.project]
source = "."
[projects.project.environments.environment]
url = "env:URL"
tier = "development"
reset = {}
backup = {}
smoke = { url = "https://clinic.example/healthz" }
"""
TOOL = {
    "alembic": """
        config = "alembic.ini"
        python = "python"
        prelude = { sql = "prelude.sql" }
        commands = { upgrade = ["make", "upgrade"] }
    """,
}
#: Tables that hold names or majors rather than keys; a table is documented by what is in it.
OPEN = {"scratch": "scratch.MAJOR"}
#: Tables whose presence alone means something.
TELLING = {"projects.PROJECT.environments.ENVIRONMENT.reset", "projects.PROJECT.env"}


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[set[str], set[str]]:
    """The keys that the reader takes, and those that it refuses as not yet built."""
    taken: set[str] = set()
    later: set[str] = set()
    tables: set[str] = set()
    make = Table.__init__

    def overhear(self: Table, document: Any, path: tuple[str, ...], value: Any, **known: Any) -> None:
        # As the page writes the names that people choose.
        prefix = "".join(f"{part.upper() if part in ('project', 'environment') else part}." for part in path)
        tables.add(prefix.rstrip("."))
        taken.update(prefix + key for key in known.get("keys") or ())
        later.update(prefix + key for key in known.get("later") or ())
        make(self, document, path, value, **known)

    monkeypatch.setattr(Table, "__init__", overhear)
    assert TOOL.keys() == TOOLS.keys()
    for tool, table in TOOL.items():
        (tmp_path / "cleanstart.toml").write_text(f"{EVERYTHING}\n[projects.project.{tool}]\n{table}")
        load(tmp_path / "cleanstart.toml")
    return {OPEN.get(key, key) for key in taken if key not in tables - set(OPEN) - TELLING}, later


def documented(heading: str) -> set[str]:
    text = (DOCS / "configuration.md").read_text()
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))


def test_the_keys_of_the_configuration(keys: tuple[set[str], set[str]]) -> None:
    taken, later = keys
    assert documented("Keys") == taken
    assert documented("Not yet") == later


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_the_handbook_names_exist(page: Path) -> None:
    from typer.main import get_command

    commands = get_command(program())
    context = commands.make_context("cleanstart", [], resilient_parsing=True)
    named = set(re.findall(r"`(?:[^`\n]*/bin/)?cleanstart ([a-z][a-z-]*)", page.read_text()))
    named |= set(re.findall(r"^\s*(?:[^\s#]*/)?cleanstart ([a-z][a-z-]*)", page.read_text(), re.MULTILINE))
    unknown = [name for name in named if commands.get_command(context, name) is None]  # type: ignore[attr-defined]
    assert not unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_readme_says_how_to_begin() -> None:
    readme = (ROOT / "README.md").read_text()
    lines = readme.splitlines()
    assert {"make demo", "make test"} <= set(lines)
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(re.findall(r"'\.\[(\w+)\]'", readme))
    assert extras
    assert extras <= set(package["optional-dependencies"])
    assert set(re.findall(r"^uvx --from \S+ (\S+)", readme, re.MULTILINE)) == set(package["scripts"])
    for target in re.findall(r"\bmake ([a-z-]+)", readme):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target


def test_the_glossary_defines_each_word_once() -> None:
    rows = re.findall(r"^\| ([^|]+) \| (.+) \|$", (DOCS / "glossary.md").read_text(), re.MULTILINE)[2:]
    words = [word for names, _ in rows for word in names.split(", ")]
    assert sorted(words) == sorted(set(words))
    assert {
        "source", "comparison", "ignore rule", "repair", "adoption", "stamp", "gap", "doubt", "observation",
    } <= set(words)  # fmt: skip
    (operations,) = [meaning for names, meaning in rows if names == "operation"]
    named = operations.partition(": ")[2].partition(" …")[0].split(", ")
    assert set(named) <= {kind.name for kind in KINDS}
