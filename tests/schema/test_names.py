"""Names are quoted by one list of keywords, which is right on every major that there is."""

from __future__ import annotations

import psycopg
import pytest

from tests.conftest import ServerOf, fresh_database
from web.schema.names import _KEYWORDS, holder_of, qualified, quote

MAJORS = (14, 15, 16, 17, 18)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("users", "users"),
        ("_u1", "_u1"),
        ("1u", '"1u"'),
        ("Users", '"Users"'),
        ("a b", '"a b"'),
        ('a"b', '"a""b"'),
        ("größe", '"größe"'),
        ("a\n", '"a\n"'),
        ("", '""'),
        ("select", '"select"'),
        ("between", '"between"'),
        ("left", '"left"'),
        ("name", "name"),
        ("type", "type"),
        ("merge_action", '"merge_action"'),
        ("json_table", '"json_table"'),
        ("Token", '"Token"'),
        ("ident", "ident"),
        ("sconst", "sconst"),
        ("with_la", "with_la"),
        ("abort_p", "abort_p"),
    ],
)
def test_a_name(name: str, expected: str) -> None:
    assert quote(name) == expected
    assert qualified("public", name) == f"public.{expected}"
    assert holder_of(qualified("a.b", name)) == ('"a.b"')


def test_the_keywords_are_164() -> None:
    assert len(_KEYWORDS) == 164


@pytest.mark.parametrize("major", MAJORS)
def test_every_keyword_of_every_major(server_of: ServerOf, major: int) -> None:
    with fresh_database(server_of(major)) as url, psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT word, catcode <> 'U', quote_ident(word) FROM pg_catalog.pg_get_keywords()"
        ).fetchall()
        words = sorted({word for word, _, _ in rows} | _KEYWORDS)
        # What this major quotes, we do; one list for all majors quotes some that only a later one knows.
        assert {word for word, reserved, _ in rows if reserved} <= _KEYWORDS
        assert {word: ours for word, _, ours in rows if ours != word} == {
            word: quote(word) for word, _, ours in rows if ours != word
        }
        # As the names that we write, read by PostgreSQL: of columns, and of what may be called or is a type.
        columns = ", ".join(f"{quote(word)} int" for word in words)
        connection.execute(f"CREATE TABLE t ({columns})".encode())
        for name in map(quote, words):
            connection.execute(
                f"CREATE SCHEMA {name} CREATE TABLE {name} ({name} int CONSTRAINT {name} CHECK (true));"
                f"CREATE FUNCTION {name}({name} int) RETURNS int LANGUAGE sql AS 'SELECT 1';"
                f"SELECT {name} FROM {name}.{name} JOIN t USING ({name}) ORDER BY t.{name};"
                f"DROP SCHEMA {name} CASCADE".encode()
            )
        read = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0"
        )
        assert sorted(name for (name,) in read) == words
