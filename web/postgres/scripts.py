"""SQL files that a project brings: read, and split into statements as PostgreSQL's own parser splits them.

What only psql could run is refused here, before the first statement. Running the statements is the caller's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import postgast
from postgast.pg_query_pb2 import ScanToken, Token

from web.errors import SourceInvalid

# Looked up once: a file has millions of tokens.
_COMMENTS = (Token.SQL_COMMENT, Token.C_COMMENT)
_SEMICOLON, _BACKSLASH, _OPENED, _CLOSED = Token.ASCII_59, Token.ASCII_92, Token.ASCII_40, Token.ASCII_41
_BEGIN, _ATOMIC, _CASE, _END = Token.BEGIN_P, Token.ATOMIC, Token.CASE, Token.END_P
_BOM = "\ufeff"
_ROUTINE = re.compile(r"create(?: or replace)? (?:function|procedure)\Z")
_CLIENT_SIDE = re.compile(r"\bstd(?:in|out)\b", re.IGNORECASE)
_COMMAND = re.compile(rb"\\(?:[;\\]|[^\s\\;]*)")
_VARIABLE = re.compile(r"""(?<!\w):(?:'[^'\n]*'|"[^"\n]*"|\{\?\w+\}|[^\W\d]\w*)""")
_BACKSLASHES_ESCAPE = re.compile(
    r"set\s+(?:session\s+|local\s+)?standard_conforming_strings\s*(?:=|\bto\b)\s*'?(?:off|false|no|0)\b",
    re.IGNORECASE,
)


class ScriptInvalid(SourceInvalid):
    """An SQL file cannot be read, or holds what cannot be run."""

    title = "The SQL file cannot be run"
    hint = "Keep to SQL in this file: it is run statement by statement, without psql."


@dataclass(frozen=True, slots=True)
class _Scanned:
    """The tokens of a text, as far as it can be scanned."""

    data: bytes
    tokens: Sequence[ScanToken]
    #: What the scanner stopped at.
    error: postgast.PgQueryError | None


async def read_script(file: Path) -> tuple[str, ...]:
    """Read the file's statements. Raises ScriptInvalid."""
    try:
        text = await asyncio.to_thread(file.read_text, "utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ScriptInvalid(
            f"The file {file} cannot be read: {reason}.", hint="Check the path and the file's permissions."
        ) from error
    return await asyncio.to_thread(split, text, file.name)


def split(text: str, name: str) -> tuple[str, ...]:
    """Split SQL into statements, without semicolons and what stands before each. Raises ScriptInvalid.

    Where the parser does not know the syntax (it is of one major, servers are of many), its scanner's tokens are
    split by the rule that psql has for them.
    """
    if "\0" in text:
        # The parser would take it for the end of the text.
        line = _line(text, text.index("\0"))
        raise ScriptInvalid(f"{name}, line {line}: a NUL character, which PostgreSQL does not take.")
    text = text.removeprefix(_BOM)
    while True:
        try:
            statements = [statement.strip() for statement in postgast.split(text)]
        except postgast.PgQueryError as error:
            stopped_at = error.cursorpos - 1
            if text[stopped_at : stopped_at + 1] == _BOM:
                # Files were joined into one.
                text = f"{text[:stopped_at]} {text[stopped_at + 1 :]}"
                continue
            statements = _split_unparsed(text, name, stopped_at)
        else:
            # What the parser takes holds no command of psql; only COPY is SQL and yet the client's to serve.
            if _CLIENT_SIDE.search(text):
                _refuse_commands(_scan(text), name)
        break
    for number, statement in enumerate(statements, 1):
        if _BACKSLASHES_ESCAPE.match(statement):
            raise ScriptInvalid(
                f"{name}, statement {number} switches standard_conforming_strings off.",
                hint="Where a string ends would depend on it. Write strings with backslashes as E'…'.",
            )
    return tuple(statements)


def _split_unparsed(text: str, name: str, stopped_at: int) -> list[str]:
    """Split what the parser stopped in."""
    # A dump of gigabytes is refused for its first lines; its rows are not scanned for that.
    end_of_line = text.find("\n", stopped_at)
    if end_of_line >= 0:
        _refuse_commands(_scan(text[:end_of_line]), name)
    scanned = _scan(text)
    _refuse_commands(scanned, name)
    if scanned.error is not None:
        # The message quotes the rest of the file.
        what = scanned.error.message.partition(" at or near ")[0]
        line = _line(text, scanned.error.cursorpos - 1)
        raise ScriptInvalid(f"{name}, line {line}, cannot be split into statements: {what}.")
    statements = []
    for tokens in _by_statement(scanned):
        start = tokens[0].start
        end = tokens[-1].start if tokens[-1].token == _SEMICOLON else len(scanned.data)
        statement = scanned.data[start:end].decode()
        _refuse_variables(statement, name, scanned.data.count(b"\n", 0, start))
        statements.append(statement.strip().lstrip(_BOM).lstrip())
    return [statement for statement in statements if statement]


def _refuse_commands(scanned: _Scanned, name: str) -> None:
    """Raise ScriptInvalid for the first command of psql, and the first COPY that the client would have to serve."""
    for statement in _by_statement(scanned):
        copy = _client_copy(statement)
        first = next((token for token in statement if token.token == _BACKSLASH), copy)
        if first is None:
            continue
        line = scanned.data.count(b"\n", 0, first.start) + 1
        command = _COMMAND.match(scanned.data, first.start)
        if command is not None:
            said = command[0].decode()[:40]
            raise ScriptInvalid(f"{name}, line {line}: “{said}” is a command of psql, not SQL.")
        raise ScriptInvalid(
            f"{name}, line {line}: “COPY … {Token.Name(first.token)}” needs psql.",
            hint="Write the rows as INSERT (pg_dump does it with --rows-per-insert=1000).",
        )


def _refuse_variables(statement: str, name: str, lines_before: int) -> None:
    """Raise ScriptInvalid where the parser stops at a colon that psql would put a variable's value for."""
    try:
        postgast.split(statement)
    except postgast.PgQueryError as error:
        at = max(error.cursorpos - 1, 0)
        if (variable := _VARIABLE.match(statement, at)) is not None:
            line = lines_before + _line(statement, at)
            said = variable[0][:40]
            raise ScriptInvalid(f"{name}, line {line}: “{said}” is a variable of psql, not SQL.") from error


def _scan(text: str) -> _Scanned:
    error: postgast.PgQueryError | None = None
    while True:
        try:
            return _Scanned(text.encode(), postgast.scan(text).tokens, error)
        except postgast.PgQueryError as stopped:
            error = error or stopped
            # The position counts characters, from 1.
            text = text[: max(min(stopped.cursorpos, len(text)) - 1, 0)]


def _by_statement(scanned: _Scanned) -> Iterator[list[ScanToken]]:
    """Group tokens by statement, each with its semicolon, as psql does (psqlscan.l).

    A semicolon ends a statement unless it is in parentheses or in a routine's `BEGIN ATOMIC … END`.
    """
    statement: list[ScanToken] = []
    parentheses = blocks = 0
    beginning = ""
    for token in scanned.tokens:
        kind = token.token
        if kind in _COMMENTS or (kind == _SEMICOLON and not statement):
            continue
        statement.append(token)
        if kind == _OPENED:
            parentheses += 1
        elif kind == _CLOSED:
            parentheses = max(parentheses - 1, 0)
        elif kind == _SEMICOLON and not parentheses and not blocks:
            yield statement
            statement, beginning = [], ""
            continue
        if len(statement) <= 5 and not _ROUTINE.match(beginning):
            word = scanned.data[token.start : token.end].decode().lower().lstrip(_BOM)
            beginning = f"{beginning} {word}".lstrip()
        if kind == _ATOMIC and statement[-2:-1] and statement[-2].token == _BEGIN:
            blocks = 1 if _ROUTINE.match(beginning) else 0
        elif blocks and kind == _CASE:
            blocks += 1
        elif blocks and kind == _END:
            blocks -= 1
    if statement:
        yield statement


def _client_copy(statement: list[ScanToken]) -> ScanToken | None:
    """The STDIN or STDOUT of a COPY, which the client would have to serve."""
    if statement[0].token != Token.COPY:
        return None
    depth = 0
    for before, token in pairwise(statement):
        depth += (token.token == _OPENED) - (token.token == _CLOSED)
        if (
            not depth
            and before.token in (Token.FROM, Token.TO)
            and token.token in (Token.STDIN, Token.STDOUT)
        ):
            return token
    return None


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
