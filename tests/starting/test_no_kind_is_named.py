"""Outside web/operations no module knows which kinds there are: a kind says everything about itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from web.operations import KINDS

WEB = Path(__file__).parents[2] / "web"
TEMPLATES = Path(__file__).parents[2] / "templates"
NAMES = {kind.name for kind in KINDS}
#: Words that are kinds' names and mean something else there: permissions, keys of the configuration, sources of a
#: schema, commands and options of other programs.
MEANT_OTHERWISE = {
    "access/permissions.py": {
        "backup",
        "baseline",
        "beside",
        "migrate",
        "observe",
        "pin",
        "reset",
        "stamp",
        "verify",
    },
    "config/reading.py": {"backup", "reset", "stamp", "verify"},
    "cli/comparing.py": {"backup"},
    "cli/questions.py": {"backup"},
    "comparison/stored_comparisons.py": {"backup"},
    # What is made, not the making of it.
    "acts/in_source.py": {"baseline"},
    "addresses.py": {"baseline", "cut-over", "survey"},
    "cli/bringing_over.py": {"baseline"},
    "answers/verdict.py": {"baseline"},
    "pages/change_sets.py": {"baseline"},
    "remedies/stored_change_sets.py": {"baseline"},
    "remedies/stored_proofs.py": {"baseline"},
    "remedies/stored_rehearsals.py": {"baseline"},
    # Steps and strategies.
    "cli/clean_start.py": {"survey"},
    "pages/clean_start_report.py": {"baseline"},
    "pages/clean_start_steps.py": {"baseline", "cut-over", "stamp", "survey"},
    "remedies/archiving.py": {"baseline"},
    "store/tables/clean_start.py": {"baseline", "survey"},
    "tools/archives.py": {"baseline"},
    "tools/history.py": {"baseline"},
    # Strategies of a clean start, of which some are called as the kinds that carry them out.
    "answers/strategy.py": {"adopt", "beside", "reset", "stamp"},
    "answers/overview.py": {"backup"},
    "comparison/sources.py": {"backup"},
    "pages/overview.py": {"backup"},
    "pages/settings.py": {"backup", "reset"},
    "postgres/processes.py": {"adopt"},
    "store/tables/backups.py": {"backup"},
    "tools/alembic_tool/tool.py": {"stamp"},
    "walls/launch.py": {"adopt"},
    "walls/layers.py": {"adopt"},
}
#: What is due by itself is a job of these kinds: whoever starts it without anybody asking has to say which.
DUE = {"upkeep/schedule.py": {"observe", "rehearse"}, "cli/demo.py": {"survey"}}
#: The guided clean start is made of kinds, and has steps and strategies that are called as some of them.
GUIDED = WEB / "clean_start"
#: What takes a permission's name.
TAKES_PERMISSION = {"may", "require", "in_project", "on_job", "permission"}


def named(source: str) -> Iterator[str]:
    """Kinds' names in texts of the code, but for permissions; and imports of a kind's module."""
    tree = ast.parse(source)
    permissions = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TAKES_PERMISSION
        for argument in node.args
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in NAMES and id(node) not in permissions:
            yield str(node.value)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("web.operations."):
            module = (node.module or "").removeprefix("web.operations.").replace("_", "-")
            if module in NAMES:
                yield module


def test_no_module_names_a_kind() -> None:
    found = {
        str(file.relative_to(WEB)): names
        for file in sorted(WEB.rglob("*.py"))
        if not (file.is_relative_to(WEB / "operations") or file.is_relative_to(GUIDED))
        and (names := set(named(file.read_text(encoding="utf-8"))))
    }
    assert found == MEANT_OTHERWISE | DUE


def test_it_would_be_seen() -> None:
    for source in (
        'if kind.name == "reset": pass',
        'TEXTS = {"plan-revert": "Plan"}',
        "from web.operations.backup import BACKUP",
    ):
        assert [*named(source)], source
    assert not [*named('may(who, "backup", project)')]


def test_no_template_names_a_kind() -> None:
    for file in TEMPLATES.rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        for name in NAMES:
            for quoted in (f'== "{name}"', f'"{name}" in', f'in ("{name}"', f'job("{name}"'):
                assert quoted not in text, (file.name, quoted)
