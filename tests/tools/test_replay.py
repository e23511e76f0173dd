"""The prelude and the migrations up to some revisions, in an empty database."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.tools.runs import Told, ask, project_of, replay
from tests.tools.written import execute, linear, migration, write_project
from web.config import AlembicSettings, Prelude
from web.errors import OperationFailed, SourceInvalid
from web.tools.events import Log, StatementFinished

PRELUDE = """\ufeff
-- Tables that no migration makes; a semicolon; in a comment
CREATE TABLE people (name text DEFAULT 'a;b');
CREATE FUNCTION shout(word text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN RETURN upper(word) || ';'; END $$;
CREATE FUNCTION twice(n int) RETURNS int BEGIN ATOMIC SELECT n; SELECT n * 2; END;
BEGIN; SET LOCAL search_path = public; COMMIT;
CREATE INDEX CONCURRENTLY people_name ON people (name);
INSERT INTO people VALUES ('größer 100%');
"""


def with_prelude(folder: Path, tool: AlembicSettings, sql: str) -> AlembicSettings:
    (folder / "prelude.sql").write_text(sql)
    return replace(tool, prelude=Prelude(sql=folder / "prelude.sql"))


async def test_prelude_then_migrations(tmp_path: Path, database: str) -> None:
    tool = write_project(tmp_path, {"a": migration("a", upgrade=execute("ALTER TABLE people ADD age int"))})
    told = Told()
    result = await replay(
        project_of(tmp_path, with_prelude(tmp_path, tool, PRELUDE)), url=database, on_event=told
    )
    assert result.applied == ("a",)
    assert await ask(database, "SELECT name FROM people WHERE age IS NULL") == ["größer 100%"]
    statements = [one.statement for one in told.of(StatementFinished)]
    assert len([one for one in statements if one.revision is None and not one.bookkeeping]) == 8


async def test_a_prelude_command(tmp_path: Path, database: str) -> None:
    program = "import os, sys, psycopg\nprint('to stderr', file=sys.stderr)\n"
    program += "psycopg.connect(os.environ['DATABASE_URL'].replace('+psycopg', ''), autocommit=True)"
    program += ".execute('CREATE TABLE people (name text)')"
    tool = write_project(tmp_path, {"a": migration("a", upgrade=execute("ALTER TABLE people ADD age int"))})
    tool = replace(tool, prelude=Prelude(command=("python", "-c", program)))
    told = Told()
    assert (await replay(project_of(tmp_path, tool), url=database, on_event=told)).applied == ("a",)
    assert "to stderr" in [one.text for one in told.of(Log)]


@pytest.mark.parametrize("revisions, reached", [((), None), (("r0001",), ["r0001"]), (("heads",), ["r0002"])])
async def test_up_to_some_revisions(
    tmp_path: Path, database: str, revisions: tuple[str, ...], reached: list[str] | None
) -> None:
    project = project_of(tmp_path, with_prelude(tmp_path, linear(tmp_path, 3), "CREATE TABLE before ()"))
    await replay(project, url=database, revisions=revisions)
    assert await ask(database, "SELECT to_regclass('before')::text") == ["before"]
    if reached is None:
        assert await ask(database, "SELECT to_regclass('alembic_version')") == [None]
    else:
        assert await ask(database, "SELECT version_num FROM alembic_version") == reached


async def test_up_to_several_version_rows(tmp_path: Path, database: str) -> None:
    tool = write_project(
        tmp_path,
        {
            "a": migration("a"),
            "b1": migration("b1", "a"),
            "b2": migration("b2", "a"),
            "c1": migration("c1", "b1"),
        },
    )
    result = await replay(project_of(tmp_path, tool), url=database, revisions=("b1", "b2"))
    assert set(result.applied) == {"b1", "b2"}
    assert await ask(database, "SELECT version_num FROM alembic_version ORDER BY 1") == ["b1", "b2"]


@pytest.mark.parametrize(
    "sql, error, sentence",
    [
        ("CREATE TABLE a ();\nSELECT 1/0;", OperationFailed, "statement 2 of 2: division by zero"),
        ("CREATE TABLE a ();\n\\i more.sql\n", SourceInvalid, r"line 2: “\\i” is a command of psql"),
        (
            "CREATE TABLE a ();\nSELECT 'DROP TABLE b' \\gexec",
            SourceInvalid,
            r"line 2: “\\gexec” is a command of psql",
        ),
        ("CREATE TABLE a ();\nCOPY a FROM stdin;\n\\.\n", SourceInvalid, "line 2: “COPY … STDIN” needs psql"),
        ("CREATE TABLE a (); SELECT 'unterminated", SourceInvalid, "cannot be split"),
        ("BEGIN; CREATE TABLE a ();", OperationFailed, "ended inside a transaction"),
    ],
)
async def test_where_a_prelude_stops(
    tmp_path: Path, database: str, sql: str, error: type[Exception], sentence: str
) -> None:
    project = project_of(tmp_path, with_prelude(tmp_path, linear(tmp_path, 1), sql))
    with pytest.raises(error, match=sentence):
        await replay(project, url=database)
    remains = ["a"] if "of 2" in sentence else [None]
    assert await ask(database, "SELECT to_regclass('a')::text") == remains


async def test_a_prelude_that_is_not_there(tmp_path: Path, database: str) -> None:
    tool = replace(linear(tmp_path, 1), prelude=Prelude(sql=tmp_path / "gone.sql"))
    with pytest.raises(SourceInvalid, match=r"gone\.sql cannot be read"):
        await replay(project_of(tmp_path, tool), url=database)


async def test_a_prelude_command_that_fails(tmp_path: Path, database: str) -> None:
    command = ("sh", "-c", "echo no such thing >&2; exit 4")
    tool = replace(linear(tmp_path, 1), prelude=Prelude(command=command))
    with pytest.raises(OperationFailed, match="The prelude failed: sh ended with exit code 4: no such thing"):
        await replay(project_of(tmp_path, tool), url=database)
