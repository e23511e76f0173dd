"""SQL files become the statements that psql would send, and what only psql can do is refused before the first."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.postgres.connections import libpq_environment
from web.postgres.programs import Programs
from web.postgres.scripts import ScriptInvalid, read_script, split

BODY = "CREATE FUNCTION twice(n int) RETURNS int BEGIN ATOMIC SELECT n; SELECT CASE n WHEN 1 THEN 2 END; END"
BLOCK = "DO $$ BEGIN PERFORM 1; EXECUTE 'SELECT 1;'; END $$"
RULE = "CREATE RULE r AS ON INSERT TO a DO ALSO (SELECT 1; SELECT 2)"
#: In no major: it stands for syntax that is newer than the parser.
UNKNOWN = "ALTER TABLE a FROBNICATE (b; c)"

CASES: dict[str, tuple[str, list[str]]] = {
    "nothing": ("", []),
    "empty statements": (";; ;\n;", []),
    "only comments": ("-- a; b\n/* c; */ ;", []),
    "two": ("SELECT 1; SELECT 2;", ["SELECT 1", "SELECT 2"]),
    "no last semicolon": ("SELECT 1;\nSELECT 2", ["SELECT 1", "SELECT 2"]),
    "no last semicolon but a comment": ("SELECT 1; SELECT 2 -- two", ["SELECT 1", "SELECT 2 -- two"]),
    "a last comment": ("SELECT 1; -- that is it; really\n", ["SELECT 1"]),
    "comments before": ("-- first\nSELECT 1; /* second */ SELECT 2;", ["SELECT 1", "SELECT 2"]),
    "comments inside": ("SELECT /* ; */ 1 -- ;\n;", ["SELECT /* ; */ 1 -- ;"]),
    "nested comments": ("/* a /* b; */ c; */ SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
    "lines of Windows": ("SELECT 1;\r\nSELECT\r\n2\r\n;\r\n", ["SELECT 1", "SELECT\r\n2"]),
    "strings": ("SELECT 'a;b', 'it''s;'; SELECT 2", ["SELECT 'a;b', 'it''s;'", "SELECT 2"]),
    "escape strings": (r"SELECT E'a\';b', e'\\'; SELECT 2", [r"SELECT E'a\';b', e'\\'", "SELECT 2"]),
    "a string over lines": ("SELECT 'a;\n;b';", ["SELECT 'a;\n;b'"]),
    "strings in a row": ("SELECT 'a;'\n'b;';", ["SELECT 'a;'\n'b;'"]),
    "identifiers": ('SELECT 1 AS "a;""b;"; SELECT 2', ['SELECT 1 AS "a;""b;"', "SELECT 2"]),
    "dollar quotes": ("SELECT $$;$$, $a$;$b$;$$;$a$; SELECT 2", ["SELECT $$;$$, $a$;$b$;$$;$a$", "SELECT 2"]),
    "Unicode escapes": (r"SELECT U&'\0061;' , U&'!0061' UESCAPE '!';", [r"SELECT U&'\0061;' , U&'!0061' UESCAPE '!'"]),
    "other letters": ("SELECT 'größer;' AS größe; SELECT '🐘;'", ["SELECT 'größer;' AS größe", "SELECT '🐘;'"]),
    "other semicolons": ("SELECT '；', 1 AS a；b; SELECT ';'", ["SELECT '；', 1 AS a；b", "SELECT ';'"]),
    "a block": (f"{BLOCK}; SELECT 2", [BLOCK, "SELECT 2"]),
    "a body in SQL": (f"{BODY}; SELECT 2;", [BODY, "SELECT 2"]),
    "a rule": (f"{RULE}; SELECT 3", [RULE, "SELECT 3"]),
    "transactions": (
        "BEGIN; SAVEPOINT a; SELECT 1; ROLLBACK TO a; COMMIT; START TRANSACTION; END",
        ["BEGIN", "SAVEPOINT a", "SELECT 1", "ROLLBACK TO a", "COMMIT", "START TRANSACTION", "END"],
    ),
    "outside of transactions": (
        "CREATE INDEX CONCURRENTLY i ON a (b); VACUUM a; SELECT 1",
        ["CREATE INDEX CONCURRENTLY i ON a (b)", "VACUUM a", "SELECT 1"],
    ),
    "slices": ("SELECT (ARRAY[1, 2])[1:2]; SELECT 1::int", ["SELECT (ARRAY[1, 2])[1:2]", "SELECT 1::int"]),
    "backslashes that are no commands": (
        "SELECT '\\i a', E'\\\\i', \"\\i\", $$\\i$$ /* \\i\n\\copy */ -- \\i\n;",
        ["SELECT '\\i a', E'\\\\i', \"\\i\", $$\\i$$ /* \\i\n\\copy */ -- \\i"],
    ),
    "COPY that the server does": (
        "COPY a FROM '/tmp/a'; COPY stdin (stdout) TO PROGRAM 'cat'; COPY (SELECT a FROM stdin) TO 'stdout'",
        [
            "COPY a FROM '/tmp/a'",
            "COPY stdin (stdout) TO PROGRAM 'cat'",
            "COPY (SELECT a FROM stdin) TO 'stdout'",
        ],
    ),
    "the words of COPY elsewhere": ("SELECT 'COPY a FROM stdin' -- COPY a FROM stdin;\n;", [
        "SELECT 'COPY a FROM stdin' -- COPY a FROM stdin;",
    ]),
    "its own name for strings": ("SET standard_conforming_strings = on; SELECT 1", [
        "SET standard_conforming_strings = on",
        "SELECT 1",
    ]),
}  # fmt: skip

REFUSED: dict[str, tuple[str, str]] = {
    "a file": ("SELECT 1;\n\\i more.sql\n", r"x.sql, line 2: “\i” is a command of psql"),
    "a file beside": ("SELECT 1;\n  \\ir 01_more.sql\n", r"x.sql, line 2: “\ir” is a command of psql"),
    "rows": ("\\copy a from 'x.csv' csv\nSELECT 1;", r"line 1: “\copy” is a command"),
    "at the end of a line": ("SELECT 1;\n\nSELECT 'DROP TABLE a' \\gexec\n", r"line 3: “\gexec” is a command"),
    "in the middle of a line": ("SELECT 1 \\gset x_ \\echo :x_1", r"line 1: “\gset” is a command"),
    "a semicolon": ("SELECT 1\\; SELECT 2;", r"line 1: “\;” is a command"),
    "a separator": ("SELECT 1 \\\\ SELECT 2;", r"line 1: “\\” is a command"),
    "a shell": ("SELECT 1;\n\\! rm -rf /", r"line 2: “\!” is a command"),
    "after strings": ("SELECT '\\i', $$\\i$$, '\n' \\g", r"line 2: “\g” is a command"),
    "after other letters": ("SELECT 'größer 🐘'; -- ü\n\\echo done", r"line 2: “\echo” is a command"),
    "with a quote": ("\\echo it's done\nSELECT 1;", r"line 1: “\echo” is a command"),
    "with a comment's beginning": ("SELECT 1;\n\\i parts/*.sql\n", r"line 2: “\i” is a command"),
    "with dollars": ("\\echo $a$\nSELECT 1;", r"line 1: “\echo” is a command"),
    "in a body": (f"{BODY[:-3]}\n\\echo a\nEND;", r"line 2: “\echo” is a command"),
    "of a dump": ("--\n-- a dump\n--\n\n\\restrict aBc\n\nSET a = 1;", r"line 5: “\restrict” is a command"),
    "COPY": ("SELECT 1;\nCOPY a (b) FROM stdin;\n1\n\\.\n", "line 2: “COPY … STDIN” needs psql"),
    "COPY with a quote in a row": ("COPY a FROM stdin;\n1\tit's\t\\N\n\\.\n", "line 1: “COPY … STDIN”"),
    "COPY without rows": ("SELECT 1;\n\ncopy a from\nstdin with (format csv);", "line 4: “COPY … STDIN”"),
    "COPY out": ("COPY (SELECT 1 FROM stdout) TO STDOUT", "line 1: “COPY … STDOUT” needs psql"),
    "a variable": ("SELECT 1;\nCREATE SCHEMA :schema;", "line 2: “:schema” is a variable of psql"),
    "a quoted variable": ("SELECT :'name';", "line 1: “:'name'” is a variable of psql"),
    "a variable for a name": ('DROP TABLE :"name";', 'line 1: “:"name"” is a variable of psql'),
    "a string without end": ("SELECT 1;\nSELECT 'a;\nSELECT 2;", "line 2, cannot be split into statements: unterm"),
    "a comment without end": ("SELECT 1 /* a;\nSELECT 2;", "line 1, cannot be split into statements: unterm"),
    "dollars without end": ("DO $$ BEGIN; END $;", "line 1, cannot be split into statements: unterminated"),
    "NUL": ("SELECT 1;\nSELECT '\0'; SELECT 2", "line 2: a NUL character"),
    "backslashes that would escape": (
        "SET LOCAL standard_conforming_strings TO off; SELECT 'a\\'; DROP TABLE b; --'",
        "statement 1 switches standard_conforming_strings off",
    ),
}  # fmt: skip

_words = st.text(st.characters(exclude_characters="\0\\'\"$;-/*:", exclude_categories=["Cs"]), max_size=8)
_pieces = st.one_of(
    _words.map(lambda word: f"'{word};'"),
    _words.map(lambda word: f'"a{word};"'),
    _words.map(lambda word: f"$x${word};\\$x$"),
    _words.map(lambda word: f"E'\\'{word};\\\\'"),
    _words.map(lambda word: f"/* {word}; /* \\i */ */ 1"),
    _words.map(lambda word: f"({len(word)})"),
    st.just("1 -- \\i;\n+ 1"),
)
_statements = st.one_of(
    st.lists(_pieces, min_size=1, max_size=4).map(lambda pieces: ("SELECT " + ", ".join(pieces)).strip()),
    st.sampled_from([BODY, BLOCK, RULE, "BEGIN", "COMMIT", "VACUUM"]),
)
_between = st.sampled_from([";", " ;\r\n", ";;\n", "; -- a; \\i\n", ";/* ; */ ", "\n;\n"])


@pytest.mark.parametrize("text, expected", CASES.values(), ids=CASES)
def test_the_statements(text: str, expected: list[str]) -> None:
    assert list(split(text, "x.sql")) == expected


@pytest.mark.parametrize("text, expected", CASES.values(), ids=CASES)
def test_the_same_beside_syntax_that_the_parser_does_not_know(text: str, expected: list[str]) -> None:
    assert list(split(f"{UNKNOWN};\n{text}", "x.sql")) == [UNKNOWN, *expected]


@pytest.mark.parametrize("before", ["", f"{UNKNOWN}; "], ids=["known", "unknown"])
@pytest.mark.parametrize("text, sentence", REFUSED.values(), ids=REFUSED)
def test_what_is_refused(text: str, sentence: str, before: str) -> None:
    if before:
        sentence = sentence.replace("statement 1", "statement 2")
    with pytest.raises(ScriptInvalid, match=re.escape(sentence)):
        split(before + text, "x.sql")


@given(st.lists(st.tuples(_statements, _between), max_size=6), st.booleans())
def test_joined_statements_split_back(parts: list[tuple[str, str]], known: bool) -> None:
    text = "".join(statement + between for statement, between in parts)
    expected = [statement for statement, _ in parts]
    if not known:
        text, expected = f"{UNKNOWN};{text}", [UNKNOWN, *expected]
    assert list(split(text, "x.sql")) == expected


def test_psql_sends_the_same(database: str, programs: tuple[Programs, ...], tmp_path: Path) -> None:
    """What psql writes into its log is what it sent; a transaction's state is nothing to it."""
    psql = next(one for one in programs if one.major == 17).path("psql")
    for number, (name, (text, expected)) in enumerate(CASES.items()):
        file, log = tmp_path / f"{number}.sql", tmp_path / f"{number}.log"
        file.write_bytes(text.encode())
        subprocess.run(
            [psql, "--no-psqlrc", "--quiet", f"--file={file}", f"--log-file={log}"],
            env=libpq_environment(database),
            capture_output=True,
            check=True,
        )
        said = log.read_bytes().decode()
        sent = re.findall(r"^[*/]+ QUERY \*+/?\n(.*?)\n[*/]+\n\n", said, re.MULTILINE | re.DOTALL)
        assert [bare for one in sent if (bare := _bare(one))] == expected, name


def _bare(sent: str) -> str:
    """What psql sent without its semicolon and the comments before it."""
    before = re.match(r"(?:\s|--[^\n]*(?:\n|\Z)|/\*(?:[^*/]|/\*[^*]*\*/)*\*/)*", sent)
    assert before is not None
    return sent[before.end() :].strip().removesuffix(";").strip()


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffSELECT 1; SELECT 2",
        "SELECT 1;\n\ufeffSELECT 2",
        "\ufeff\nSELECT 1; \ufeff\ufeffSELECT 2;\ufeff",
    ],
)
@pytest.mark.parametrize("before", [[], [UNKNOWN]], ids=["known", "unknown"])
async def test_byte_order_marks_are_taken_off(tmp_path: Path, text: str, before: list[str]) -> None:
    (tmp_path / "x.sql").write_text("".join(f"{one};\n" for one in before) + text)
    assert [*await read_script(tmp_path / "x.sql")] == [*before, "SELECT 1", "SELECT 2"]


async def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "x.sql"
    with pytest.raises(ScriptInvalid, match=r"x\.sql cannot be read: No such file"):
        await read_script(file)
    file.mkdir()
    with pytest.raises(ScriptInvalid, match=r"x\.sql cannot be read: Is a directory"):
        await read_script(file)
    file.rmdir()
    for content in ("SELECT 'größer'".encode("latin-1"), "SELECT 1".encode("utf-16")):
        file.write_bytes(content)
        with pytest.raises(ScriptInvalid, match="it is not UTF-8 text"):
            await read_script(file)


@pytest.mark.parametrize(
    "text", ["(" * 200_000, "SELECT " + "- " * 200_000 + "1", "SELECT 1" + "+1" * 200_000]
)
def test_what_the_parser_finds_too_deep_is_a_statement(text: str) -> None:
    assert split(f"SELECT 1; {text}", "x.sql") == ("SELECT 1", text)


def test_a_large_dump_is_refused_for_its_first_lines() -> None:
    rows = "1\tsome text\t\\N\n" * 1_000_000
    started = time.monotonic()
    with pytest.raises(ScriptInvalid, match="line 2: “COPY … STDIN”"):
        split(f"SET a = 1;\nCOPY a FROM stdin;\n{rows}\\.\n", "x.sql")
    assert time.monotonic() - started < 1
