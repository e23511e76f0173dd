"""What the command line prints: tables and sentences for people, JSON for programs, errors as one short block.

Names, log lines and messages come from databases and projects: none of them may steer the terminal.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from web import words
from web.errors import CleanStartError

#: Characters that reorder a line, and so can make it read as another one.
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})

#: Colours by the status keys that verdicts and jobs have; the words say the same without them.
_STYLES = {
    "ok": "green",
    "succeeded": "green",
    "pending": "yellow",
    "queued": "yellow",
    "running": "cyan",
    "ahead": "magenta",
    "drift": "yellow",
    "warn": "yellow",
    "blocked": "red",
    "failed": "red",
    "down": "red",
    "fail": "red",
}


def plain(value: object, *, lines: bool = False) -> str:
    """A value as text that a terminal prints and does not obey; `lines` keeps line ends and tabs."""
    if value is None:
        return ""
    return "".join(
        character
        if (lines and character in "\n\t")
        or (unicodedata.category(character) not in _UNPRINTABLE and character not in _REORDERING)
        else character.encode("unicode_escape").decode("ascii")
        for character in str(value)
    )


def coloured(words: object, status: object) -> Text:
    """Words in the colour of their status."""
    return Text(plain(words), style=_STYLES.get(str(status), ""))


def ago(moment: object, *, now: datetime | None = None) -> str:
    """An ISO time as its age in one unit; “never” where there is none."""
    return (
        words.ago(datetime.fromisoformat(moment), now or datetime.now(UTC))
        if isinstance(moment, str)
        else "never"
    )


class Writer:
    """Answers go to stdout, everything else to stderr; with `as_json` both carry JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.out, self.err = _console(sys.stdout), _console(sys.stderr)

    def say(self, sentence: object = "", *, style: str = "") -> None:
        """Print a sentence of the answer."""
        self.out.print(Text(plain(sentence, lines=True), style=style), soft_wrap=True)

    def note(self, sentence: object) -> None:
        """Print what is not part of the answer."""
        self.err.print(Text(plain(sentence, lines=True)), soft_wrap=True)

    def table(
        self, headers: Sequence[str], rows: Iterable[Sequence[object]], *, none: str, aside: bool = False
    ) -> None:
        """Print a table, or `none`, the sentence that there is nothing. `aside`: it is not part of the answer."""
        table = Table(
            *headers,
            show_header=any(headers),
            box=None,
            pad_edge=False,
            header_style="bold",
            padding=(0, 2, 0, 0),
        )
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
        console = self.err if aside else self.out
        if table.row_count and console.is_terminal:
            console.print(table)
        elif table.row_count:
            # rich fills the last column up; in a file that is only noise.
            with console.capture() as captured:
                console.print(table)
            for line in captured.get().splitlines():
                console.print(Text(line.rstrip()), soft_wrap=True)
        elif none:
            (self.note if aside else self.say)(none)

    def document(self, value: object, *, line: bool = False) -> None:
        """Print JSON: a whole document, or one line of a stream."""
        print(json.dumps(value, indent=None if line else 2), file=sys.stdout, flush=line)  # noqa: T201

    def error(self, error: CleanStartError) -> None:
        """Print an error: its title, what happened, what to do."""
        if self.as_json:
            print(json.dumps(as_problem(error)), file=sys.stderr)  # noqa: T201
            return
        block = Text()
        block.append(f"{plain(error.title)}: ", style="bold red")
        block.append(plain(error, lines=True))
        if error.hint:
            block.append(f"\n{plain(error.hint, lines=True)}")
        self.err.print(block, soft_wrap=True)


def write_gate(writer: Writer, gate: Mapping[str, Any], *, aside: bool = False) -> None:
    """Print the gate's conditions, each with what would open it."""
    opened = gate["open"]
    title = Text("\nGate ").append(coloured("open" if opened else "closed", "ok" if opened else "failed"))
    (writer.err if aside else writer.out).print(title)
    writer.table(
        ("", "", ""),
        [
            (
                coloured(f"  {each['state']}", {"met": "ok", "not met": "failed"}.get(each["state"], "warn")),
                each["title"] + (f" ({each['detail']})" if each["detail"] else ""),
                each["way"],
            )
            for each in gate["conditions"]
        ],
        none="",
        aside=aside,
    )


def write_doubts(writer: Writer, doubts: Iterable[Mapping[str, Any]], *, aside: bool = False) -> None:
    """Print what jobs left in doubt, a sentence each."""
    console = writer.err if aside else writer.out
    for each in doubts:
        console.print(
            coloured("In doubt", "warn").append(plain(f": {each['words']}. {each['what']}"), style="default"),
            soft_wrap=True,
        )


def as_problem(error: CleanStartError) -> Mapping[str, object]:
    """An error with the members that the API's problems have."""
    return {"title": error.title, "status": error.status, "detail": str(error), "hint": error.hint}


def _console(stream: TextIO) -> Console:
    # A pipe has no width: nothing is cut or wrapped there.
    return Console(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        width=None if stream.isatty() else 10_000,
        safe_box=True,
    )
