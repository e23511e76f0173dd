"""What is printed: nothing steers a terminal, ages and sizes in words, tables that a pipe can read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from web import words
from web.cli.writing import Writer, ago, coloured, plain
from web.errors import CleanStartError

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("plain", "plain"),
        (None, ""),
        (7, "7"),
        ("Łódź \U0001f600 日本", "Łódź \U0001f600 日本"),
        ("[red]<b>'\"", "[red]<b>'\""),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J", "\\x9b2J"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("\u2028\u2029\x00\x7f", "\\u2028\\u2029\\x00\\x7f"),
        ("\ud800", "\\ud800"),
    ],
)
def test_plain(value: object, printed: str) -> None:
    assert plain(value) == printed


def test_lines_keep_their_ends_and_nothing_else() -> None:
    assert plain("a\n\tb\r\x1b", lines=True) == "a\n\tb\\r\\x1b"


def test_ages_are_those_of_the_pages() -> None:
    for seconds in (0, -5, 119, 7200, 172_800, 10**7):
        moment = NOW - timedelta(seconds=seconds)
        assert ago(moment.isoformat(), now=NOW) == words.ago(moment, NOW)


def test_never() -> None:
    assert ago(None) == "never"


def test_a_table_in_a_pipe_is_neither_cut_nor_filled_up(capsys: pytest.CaptureFixture[str]) -> None:
    Writer(as_json=False).table(
        ("name", "what"), [("a" * 300, coloured("ok", "ok")), ("\x1b[31mb\n", "[bold]")], none="Nothing."
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["a" * 300, "ok"]
    assert lines[2].split() == ["\\x1b[31mb\\n", "[bold]"]
    assert all(line == line.rstrip() for line in lines)


def test_nothing_is_said_to_be_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Writer(as_json=False).table(("name",), [], none="There is none.")
    assert capsys.readouterr().out == "There is none.\n"


def test_errors(capsys: pytest.CaptureFixture[str]) -> None:
    error = CleanStartError("It was \x1b[2J [red]", hint="Do this.")
    Writer(as_json=False).error(error)
    printed = capsys.readouterr()
    assert printed.err == "Something went wrong: It was \\x1b[2J [red]\nDo this.\n"
    assert printed.out == ""
    Writer(as_json=True).error(error)
    assert json.loads(capsys.readouterr().err)["detail"] == "It was \x1b[2J [red]"
