"""One text for an array's cast, whichever way PostgreSQL wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import fresh_database
from web.postgres.connections import connect
from web.postgres.dump import dump_database, restore_database
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import Programs
from web.schema.canonical import canonical
from web.schema.difference import difference
from web.schema.snapshot import read_schema

CASES = [
    ("a = ANY ((ARRAY['x'::v, 'y'::v])::text[])", "a = ANY (ARRAY[('x'::v)::text, ('y'::v)::text])"),
    ("ANY ((ARRAY['a,]b'::v])::text[])", "ANY (ARRAY[('a,]b'::v)::text])"),
    ("ANY ((ARRAY['it''s'::v, f(1, 2)])::text[])", "ANY (ARRAY[('it''s'::v)::text, (f(1, 2))::text])"),
    ("(ARRAY[a])::character varying[]", "ARRAY[(a)::character varying]"),
    ('(ARRAY[a])::public."my [] type"[]', 'ARRAY[(a)::public."my [] type"]'),
    ("(ARRAY[(ARRAY[a])::text[], b])::x[]", "ARRAY[(ARRAY[(a)::text])::x, (b)::x]"),
    ("b AND ((ARRAY[a])::t[] = c) AND d", "b AND (ARRAY[(a)::t] = c) AND d"),
    # Nothing of the sort, or only in a string or a name: as it is.
    ("'(ARRAY[a])::text[]'::text", "'(ARRAY[a])::text[]'::text"),
    ('"(ARRAY[a])::text[]" = 1', '"(ARRAY[a])::text[]" = 1'),
    ("(ARRAY[a])::text", "(ARRAY[a])::text"),
    ("(ARRAY[]::text[])", "(ARRAY[]::text[])"),
    ("(ARRAY[a", "(ARRAY[a"),
    ("x = ANY (ARRAY[('a'::v)::text])", "x = ANY (ARRAY[('a'::v)::text])"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_the_cast_is_written_into_the_elements(text: str, expected: str) -> None:
    assert canonical(text) == expected
    assert canonical(expected) == expected


async def test_every_place_of_it_is_the_same_after_dump_and_restore(
    server: EmbeddedServer, programs: Sequence[Programs], tmp_path: Path
) -> None:
    with fresh_database(server) as one, fresh_database(server) as other:
        async with connect(one) as connection:
            await connection.execute(DDL.encode())
            before = await read_schema(connection)
        file = tmp_path / "dump"
        await dump_database(programs, one, file, server_major=17)
        await restore_database(programs, other, file, server_major=17)
        async with connect(other) as connection:
            assert difference(before, await read_schema(connection)) == ()


DDL = """
CREATE TABLE t (id int, sex varchar(1) CHECK (sex IN ('f', 'm')), c varchar(5));
CREATE INDEX ON t (id) WHERE c IN ('x', 'y,''z');
CREATE VIEW v AS SELECT id FROM t WHERE sex IN ('f', 'm') AND c NOT IN ('q', 'r');
CREATE MATERIALIZED VIEW mv AS SELECT CASE WHEN c IN ('a', 'b') THEN 1 END AS x FROM t;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON t USING (c IN ('x', 'y')) WITH CHECK (c IN ('x'));
CREATE DOMAIN d AS varchar CHECK (value IN ('a', 'b'));
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW WHEN (new.c IN ('a', 'b')) EXECUTE FUNCTION f();
CREATE RULE r AS ON INSERT TO v WHERE new.id IN (1, 2) DO INSTEAD NOTHING;
CREATE TABLE g (
    a varchar,
    b bool GENERATED ALWAYS AS (a IN ('x', 'y')) STORED,
    e bool DEFAULT ('x'::varchar IN ('a', 'b'))
);
"""
