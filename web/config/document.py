"""A TOML file with the line of every key, and `Table`, which reads typed values out of it.

tomllib gives values without lines, and no maintained parser for Python keeps them (tomlkit's are an open
wish). So the text is cut into statements, each is parsed by tomllib once more, and its first line is noted
for what it sets. What the keys mean is left to `reading`. No message repeats a value: it might be a secret.
"""

from __future__ import annotations

import datetime
import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from web.errors import ConfigurationInvalid

TYPE_NAMES: Mapping[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number with a fraction",
    list: "an array",
    dict: "a table",
    datetime.datetime: "a date and time",
    datetime.date: "a date",
    datetime.time: "a time",
}
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])")
DECODE_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")

KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: its values, and the line on which each key is written."""

    file: Path
    values: Mapping[str, object]
    lines: Mapping[KeyPath, int]

    def line_of(self, path: KeyPath) -> int | None:
        """The line of a key, or of the innermost table around it where it is not written."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None

    def error(self, path: KeyPath, expected: str) -> ConfigurationInvalid:
        """The error for this key."""
        return ConfigurationInvalid(str(self.file), self.line_of(path), dotted(path), expected)


def read_document(file: Path) -> Document:
    """Read and parse the file; `ConfigurationInvalid` where it is missing, unreadable or not TOML."""
    try:
        return _read(file)
    except RecursionError:
        # The parser calls itself for every level. The traceback would be a thousand lines of it.
        raise ConfigurationInvalid(str(file), None, "", "tables or arrays are nested too deeply") from None


def _read(file: Path) -> Document:
    try:
        text = file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        values = tomllib.loads(text)
    except FileNotFoundError as error:
        raise ConfigurationInvalid(str(file), None, "", "there is no such file") from error
    except IsADirectoryError as error:
        raise ConfigurationInvalid(str(file), None, "", "this is a folder; expected a file") from error
    except OSError as error:
        raise ConfigurationInvalid(str(file), None, "", f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigurationInvalid(str(file), line, "", "expected UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = DECODE_PLACE.search(message)
        if place is None or place[1] is None:
            line, where = text.count("\n") + 1, "at the end of the file"
        else:
            line, where = int(place[1]), f"in column {place[2]}"
        reason = DECODE_PLACE.sub("", message)
        raise ConfigurationInvalid(str(file), line, "", f"not valid TOML: {reason} {where}") from error
    except ValueError as error:
        # Python reads numbers of 4,300 digits at most, and tomllib passes its refusal on.
        raise ConfigurationInvalid(str(file), None, "", "a number has too many digits") from error
    lines: dict[KeyPath, int] = {}
    for path, line in _lines_of(text):
        lines.setdefault(path, line)
    return Document(file, values, lines)


def dotted(path: KeyPath) -> str:
    """A key as one would write it in TOML."""
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"' for part in path)


def _lines_of(text: str) -> Iterator[tuple[KeyPath, int]]:
    """Every key of a valid document with its line. A newline ends a statement once it parses."""
    table: KeyPath = ()
    statement, first = "", 1
    for number, line in enumerate(text.split("\n"), start=1):
        statement = f"{statement}\n{line}" if statement else line
        try:
            values = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if statement.lstrip().startswith("["):
            paths = tuple(_paths_of(values, ()))
            table = max(paths, key=len)
        else:
            paths = tuple(_paths_of(values, table))
        yield from ((path, first) for path in paths)
        statement, first = "", number + 1


def _paths_of(value: object, path: KeyPath) -> Iterator[KeyPath]:
    if isinstance(value, list):
        for item in value:
            yield from _paths_of(item, path)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from _paths_of(inner, (*path, key))


class Table:
    """One table of a document. Making it refuses unknown keys, so that nothing in the file is ignored.

    `later` names the keys that are part of the format and not built yet, with what they are for.
    """

    def __init__(
        self,
        document: Document,
        path: KeyPath,
        value: object,
        *,
        keys: tuple[str, ...] | None = None,
        later: Mapping[str, str] | None = None,
    ) -> None:
        self.document, self.path = document, path
        if not isinstance(value, dict):
            raise self.wrong_type((), "a table", value)
        self.values: Mapping[str, object] = value
        for key in value if keys is not None else ():
            if later and key in later:
                raise self.not_yet(key, later[key])
            if keys and key not in keys:
                raise self.error(key, f"unknown key; {_suggestion(key, (*keys, *(later or ())))}")

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def error(self, key: str, expected: str) -> ConfigurationInvalid:
        """The error for a key of this table."""
        return self.document.error((*self.path, key), expected)

    def not_yet(self, key: str, purpose: str) -> ConfigurationInvalid:
        """The error for what the format knows and this version does not do."""
        return self.error(key, f"not yet: {purpose}; remove this key")

    def wrong_type(self, key: KeyPath, expected: str, value: object) -> ConfigurationInvalid:
        """The error for a value of another type."""
        found = TYPE_NAMES.get(type(value), type(value).__name__)
        return self.document.error((*self.path, *key), f"expected {expected}, found {found}")

    def table(
        self, key: str, *, keys: tuple[str, ...] | None = None, later: Mapping[str, str] | None = None
    ) -> Table:
        """The table under this key; an empty one where there is none."""
        return Table(self.document, (*self.path, key), self.values.get(key, {}), keys=keys, later=later)

    def text(self, key: str, expected: str = "text") -> str | None:
        """The text under this key. Empty text is an error: it is never what was meant."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.wrong_type((key,), expected, value)
        if not value.strip():
            raise self.error(key, f"expected {expected}, found empty text")
        if "\0" in value:
            raise self.error(key, f"expected {expected}, found text with a NUL character")
        return value

    def needed_text(self, key: str, expected: str) -> str:
        """The text under this key, which has to be there."""
        value = self.text(key, expected)
        if value is None:
            raise self.missing(key, expected)
        return value

    def missing(self, key: str, expected: str) -> ConfigurationInvalid:
        """The error for a key that has to be there."""
        return self.error(key, f"missing; expected {expected}")

    def texts(self, key: str, expected: str) -> tuple[str, ...]:
        """The array of texts under this key; empty where there is none."""
        value = self.values.get(key, [])
        if not isinstance(value, list):
            raise self.wrong_type((key,), expected, value)
        for item in value:
            if not isinstance(item, str):
                found = TYPE_NAMES.get(type(item), type(item).__name__)
                raise self.error(key, f"expected {expected}, found {found} in it")
            if not item.strip() or "\0" in item:
                raise self.error(key, f"expected {expected}, found empty text in it")
        return tuple(value)

    def command(self, key: str) -> tuple[str, ...] | None:
        """The command under this key, as an array: nothing is ever given to a shell."""
        if key not in self.values:
            return None
        expected = 'a command as an array of text, such as ["clinic", "db", "upgrade"]'
        command = self.texts(key, expected)
        if not command:
            raise self.error(key, f"expected {expected}, found an empty array")
        return command

    def flag(self, key: str) -> bool:
        """True or false; false where it is not written."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise self.wrong_type((key,), "true or false", value)
        return value

    def count(self, key: str) -> int:
        """A whole number from 0; 0 where it is not written."""
        value = self.values.get(key, 0)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong_type((key,), "a whole number", value)
        if value < 0:
            raise self.error(key, "expected a whole number that is not negative")
        return value

    def duration(self, key: str) -> datetime.timedelta | None:
        """A span of time such as "24h"."""
        expected = 'a duration such as "30m", "24h" or "7d"'
        value = self.text(key, expected)
        if value is None:
            return None
        match = DURATION.fullmatch(value)
        if match is None:
            raise self.error(key, f"expected {expected}")
        return datetime.timedelta(**{UNITS[match[2]]: int(match[1])})

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """One of the choices, which has to be there."""
        expected = f"one of {', '.join(choices)}"
        value = self.needed_text(key, expected)
        if value not in choices:
            near = difflib.get_close_matches(value, choices, n=1, cutoff=0.5)
            raise self.error(key, f"expected {expected}" + (f'; did you mean "{near[0]}"?' if near else ""))
        return value


def _suggestion(key: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(sorted(known))}"
