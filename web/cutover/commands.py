"""Shell text: which of its commands migrate a database, and which files it starts. Nothing is run.

This is no shell. It splits well enough to tell a command from a word that is printed or searched for.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

#: What only shows or searches its arguments.
_ONLY_SHOWS = frozenset(
    {"echo", "printf", "grep", "rg", "sed", "awk", ":", "true", "false", "info", "warn", "log"}
)
#: What handles files without starting them.
_ONLY_HANDLES = frozenset(
    {
        "chmod",
        "chown",
        "cp",
        "mv",
        "rm",
        "ln",
        "cat",
        "ls",
        "touch",
        "install",
        "dos2unix",
        "test",
        "[",
        "[[",
        "cd",
    }
)
#: What ends a simple command.
_ENDS = re.compile(r"&&|\|\||[;|&\n(){}`]|\$\(")
_TOOLS = frozenset({"alembic", "flask", "dotnet", "dotnet-ef", "efbundle", "efbundle.exe"})
#: Options of Alembic that take a value before the command.
_ALEMBIC_VALUES = frozenset({"-c", "--config", "-n", "--name", "-x"})
_FLASK_VALUES = frozenset({"-A", "--app", "-e", "--env-file"})
#: A shell within a shell goes this deep.
_NESTED = 3
#: Characters and words of one command that are looked at.
_LONGEST = 20_000
_MOST_WORDS = 500


@dataclass(frozen=True, slots=True)
class Migrates:
    """A command that migrates."""

    what: str
    #: Lines after the first of the text.
    line: int


@dataclass(frozen=True, slots=True)
class Shell:
    """Recognises commands; `own` are the project's own that upgrade, as words."""

    own: tuple[tuple[str, ...], ...] = ()

    def migrating(self, text: str) -> Iterator[Migrates]:
        """Every command in it that migrates, by line."""
        for line, words in _simple_commands(text):
            if (what := self._what(words)) is not None:
                yield Migrates(what, line)

    def what(self, words: Sequence[str]) -> str | None:
        """What one command migrates with, as an array of words; None: it does not."""
        return self._what([each for each in words if isinstance(each, str)])

    def _what(self, words: Sequence[str], depth: int = 0) -> str | None:
        words = _without_assignments(words)
        if not words or _base(words[0]) in _ONLY_SHOWS:
            return None
        for place, word in enumerate(words):
            if (what := _known(words, place)) is not None:
                return what
            # `sh -c "alembic upgrade head && serve"`
            if depth < _NESTED and any(each.isspace() for each in word):
                for _, inner in _simple_commands(word):
                    if (what := self._what(inner, depth + 1)) is not None:
                        return what
        for own in self.own:
            if any(tuple(words[at : at + len(own)]) == own for at in range(len(words) - len(own) + 1)):
                return " ".join(own)
        return None


def _known(words: Sequence[str], place: int) -> str | None:
    """Whether a migration tool's program stands there, with the command that upgrades."""
    name = _base(words[place])
    if name not in _TOOLS:
        return None
    rest = words[place + 1 :]
    if name in ("alembic", "flask") and "--sql" in rest:
        # It only writes SQL.
        return None
    if name == "alembic" and _first(rest, _ALEMBIC_VALUES) == "upgrade":
        return "alembic upgrade"
    if name == "flask" and _first_two(rest, _FLASK_VALUES) == ("db", "upgrade"):
        return "flask db upgrade"
    ef = rest[1:] if name == "dotnet" and rest[:1] == ["ef"] else rest if name == "dotnet-ef" else []
    if ef[:2] == ["database", "update"]:
        return "dotnet ef database update"
    return "EF Core bundle" if name.startswith("efbundle") and place == 0 else None


def started(text: str) -> Iterator[str]:
    """What a text starts that may be a file or module of the source: paths, and modules after -m."""
    for _, words in _simple_commands(text):
        yield from started_by(words)


def started_by(words: Sequence[str], depth: int = 0) -> Iterator[str]:
    """The same of one command."""
    words = _without_assignments(words)
    if not words or _base(words[0]) in _ONLY_SHOWS | _ONLY_HANDLES:
        return
    for place, word in enumerate(words):
        if depth < _NESTED and any(each.isspace() for each in word):
            for _, inner in _simple_commands(word):
                yield from started_by(inner, depth + 1)
        elif place and words[place - 1] == "-m":
            yield f"{word.replace('.', '/')}.py"
            yield f"{word.replace('.', '/')}/__main__.py"
        elif re.fullmatch(r"[\w./${}-]{1,300}", word) and not word.startswith("-"):
            # `app.main:app` of a server is application code anyway.
            yield word.replace("./", "", 1) if word.startswith("./") else word


def _simple_commands(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each simple command as words, with the line on which it begins."""
    for line, command in _logical_lines(text):
        for part in _parts(command):
            words = _words(part)
            if words:
                yield line, words


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with those that a backslash continues; comments and here-documents left out."""
    begun: list[str] = []
    first = 0
    ends_at: str | None = None
    for number, line in enumerate(text.splitlines()):
        if ends_at is not None:
            if line.strip() == ends_at:
                ends_at = None
            continue
        stripped = line.strip()
        if stripped.startswith("#"):
            continue
        if not begun:
            first = number
        if stripped.endswith("\\"):
            begun.append(stripped[:-1])
            continue
        begun.append(stripped)
        whole = " ".join(begun)[:_LONGEST]
        begun = []
        here = re.search(r"<<-?\s*(['\"]?)([A-Za-z_]\w*)\1", whole)
        if here is not None and "<<<" not in whole:
            ends_at = here[2]
        if whole:
            yield first, whole
    if begun:
        yield first, " ".join(begun)[:_LONGEST]


def _parts(command: str) -> Iterator[str]:
    """Split at what ends a simple command, outside of quotes."""
    part: list[str] = []
    quote = ""
    at = 0
    while at < len(command):
        character = command[at]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#" and (at == 0 or command[at - 1].isspace()):
            break
        # `${NAME}` is a word.
        elif (end := _ENDS.match(command, at)) is not None and not (
            character in "{}" and _is_in_variable(command, at)
        ):
            yield "".join(part)
            part = []
            at = end.end()
            continue
        part.append(character)
        at += 1
    yield "".join(part)


def _is_in_variable(command: str, at: int) -> bool:
    if command[at] == "{":
        return at > 0 and command[at - 1] in "${"
    opened = command.rfind("{", 0, at)
    return opened > 0 and command[opened - 1] in "${" and "}" not in command[opened:at]


def _words(part: str) -> list[str]:
    try:
        return shlex.split(part)
    except ValueError:
        return part.replace('"', " ").replace("'", " ").split()


_KEYWORDS = frozenset(
    {"if", "then", "else", "elif", "do", "while", "until", "!", "time", "exec", "command", "-", "@"}
)


def _without_assignments(words: Sequence[str]) -> list[str]:
    """The command without what stands before its name: keywords and variables."""
    at = 0
    while at < len(words) and (words[at] in _KEYWORDS or re.match(r"[A-Za-z_]\w*\+?=", words[at])):
        at += 1
    return list(words[at : at + _MOST_WORDS])


def _base(word: str) -> str:
    return word.rpartition("/")[2].lstrip("@-")


def _first(words: Sequence[str], with_value: frozenset[str]) -> str | None:
    return next(_arguments(words, with_value), None)


def _first_two(words: Sequence[str], with_value: frozenset[str]) -> tuple[str | None, str | None]:
    found = _arguments(words, with_value)
    return next(found, None), next(found, None)


def _arguments(words: Sequence[str], with_value: frozenset[str]) -> Iterator[str]:
    """What is neither an option nor its value."""
    rest = iter(words)
    for word in rest:
        if word in with_value:
            next(rest, None)
        elif not word.startswith("-"):
            yield word
