"""docs/contributing.md is followed to the letter: its examples go into a copy of the product, whose tests run there.

A block below a file's name is that file where it is new; else it is a difference, whose places are in the file once.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.planted_faults import COPIED

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
_BLOCK = re.compile(
    r"^(?:`(?P<path>\S+)`(?P<new>, new)?:\n\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
#: What takes longer than all the rest: servers of other majors, and most of the ways in which a job may end.
LEFT_OUT = "not killed and not cancelled and not away and not (14- or 15- or 16- or 18-)"

# One copy and one run for all of them.
pytestmark = pytest.mark.xdist_group("contributing")


@dataclass(frozen=True, slots=True)
class Example:
    """One of the page's examples: what it puts into which files, and what runs its tests."""

    title: str
    #: Whole files, and differences, by path.
    new: Mapping[str, str]
    changed: Mapping[str, str]
    #: Test files and the expression that chooses from them.
    tests: tuple[str, ...]
    chosen: str


def read_example(title: str, text: str) -> Example:
    new, changed, commands = dict[str, str](), dict[str, str](), list[str]()
    for block in _BLOCK.finditer(text):
        if block["language"] == "sh":
            commands += block["text"].splitlines()
            continue
        assert block["path"], f"a block without a file: {block['text'][:80]}"
        assert (block["language"] == "diff") == (block["new"] is None), block["path"]
        files = changed if block["new"] is None else new
        assert block["path"] not in files, f"{block['path']} has two blocks"
        files[block["path"]] = block["text"]
    (command,) = commands
    made = re.fullmatch(r'make test ARGS="(.+)"', command)
    assert made is not None, command
    *tests, option, chosen = shlex.split(made[1])
    assert option == "-k", command
    return Example(title, new, changed, tuple(tests), chosen)


def sections() -> Iterator[tuple[str, str]]:
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        title, _, text = section.partition("\n")
        yield title, text


EXAMPLES = [read_example(title, text) for title, text in sections() if title.startswith("Add ")]
EACH = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)


def applied(path: str, before: str, difference: str) -> str:
    """The file with the difference in it."""
    text = before
    for place in difference.split("@@\n"):
        lines = place.splitlines(keepends=True)
        old = "".join(line[1:] or "\n" for line in lines if not line.startswith("+"))
        new = "".join(line[1:] or "\n" for line in lines if not line.startswith("-"))
        assert old != new, f"{path}: this place changes nothing\n{place}"
        assert text.count(f"\n{old}") == 1, f"{path} has this place {text.count(old)} times, not once\n{old}"
        text = text.replace(f"\n{old}", f"\n{new}")
    return text


def put(example: Example, folder: Path) -> None:
    """Put an example into a copy of the product."""
    for path, text in example.new.items():
        assert not (folder / path).exists(), f"{path} is there already"
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    for path, difference in example.changed.items():
        file = folder / path
        file.write_text(applied(path, file.read_text(encoding="utf-8"), difference), encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product with all examples in it."""
    folder = tmp_path_factory.mktemp("contributing")
    # Project code runs as another user where the tests run as root.
    folder.chmod(0o755)
    for name in COPIED:
        # With what is compiled, which is known by the time of its source.
        shutil.copytree(ROOT / name, folder / name)
    for name in ("pyproject.toml", "README.md", "ARCHITECTURE.md", "CHANGELOG.md"):
        shutil.copy2(ROOT / name, folder / name)
    (folder / ".cache").symlink_to(ROOT / ".cache")
    for example in EXAMPLES:
        put(example, folder)
    return folder


def run(copy: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the development environment in the copy."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        cwd=copy,
        env={**inherited, "PYTHONPATH": str(copy)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def outcomes(copy: Path) -> Mapping[str, Mapping[str, str]]:
    """By test file what became of each test that the examples' last lines choose."""
    files = sorted({file for example in EXAMPLES for file in example.tests})
    chosen = " or ".join(f"({example.chosen})" for example in EXAMPLES)
    report = copy / "report.xml"
    done = run(
        copy,
        *("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "junit_family=xunit1"),
        *(f"--junit-xml={report}", "-k", f"({chosen}) and {LEFT_OUT}", *files),
    )
    assert report.is_file(), done.stdout[-3000:] + done.stderr[-3000:]
    found: dict[str, dict[str, str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 (our own pytest wrote it)
        bad = [each.text or "" for each in case if each.tag in ("failure", "error", "skipped")]
        found.setdefault(case.attrib["file"], {})[case.attrib["name"]] = "\n".join(bad)
    return found


def test_the_page_has_its_examples() -> None:
    assert [example.title for example in EXAMPLES] == [
        "Add a job kind",
        "Add a migration tool",
        "Add a page",
        "Add a kind of schema object",
    ]


@EACH
def test_its_tests_pass(example: Example, outcomes: Mapping[str, Mapping[str, str]]) -> None:
    names = list(example.tests)
    for file in example.tests:
        assert outcomes.get(file), f"{file}: nothing was chosen"
        bad = {name: said for name, said in outcomes[file].items() if said}
        assert not bad, "\n".join([*bad, *bad.values()])
        names += outcomes[file]
    for word in re.findall(r"(?!or\b)\b\w+", example.chosen):
        assert any(word in name for name in names), f"nothing is named {word}"


def test_checks_pass_with_the_examples(copy: Path) -> None:
    written = [path for example in EXAMPLES for path in (*example.new, *example.changed)]
    code = [path for path in written if path.endswith(".py")]
    for arguments in (
        ("ruff", "format", "--check", *code),
        ("ruff", "check", *code),
        ("djlint", *(path for path in written if path.endswith(".html")), "--lint", "--quiet"),
        ("lint-imports", "--no-cache"),
    ):
        done = run(copy, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_page_names_exists(copy: Path) -> None:
    for path in re.findall(r"`((?:web|tests|templates|docs|static)/[^`*\s]*)`", PAGE):
        assert (copy / path).exists(), path
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert (
        set(re.findall(r"\bmake ([a-z]+)", "\n".join(re.findall(r"`make .*?`|^make .*", PAGE, re.MULTILINE))))
        <= targets
    )
    for path in re.findall(r"ARGS=(\S+)", PAGE):
        for folder in re.findall(r"tests/\w+", path):
            assert (ROOT / folder).exists(), folder


@pytest.mark.parametrize("words", [("EventTrigger", "event_triggers?"), ("Publication", "publications?")])
def test_every_place_that_tells_kinds_of_objects_apart_is_named(words: tuple[str, str]) -> None:
    """Where these two are spoken of, the next kind may have to be."""
    section = dict(sections())["Add a kind of schema object"]
    named = re.compile(rf"\b({words[0]}|(pg_)?{words[1]})\b")
    own = ROOT / "web/schema/queries" / f"{words[1].removesuffix('?')}.sql"
    for file in sorted((ROOT / "web").rglob("*.*")):
        if file.suffix in (".py", ".sql") and file != own and named.search(file.read_text(encoding="utf-8")):
            assert f"`{file.relative_to(ROOT)}`" in section, file
