"""URLs: what people write, what libpq and SQLAlchemy read, what pages may show."""

from __future__ import annotations

from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy.engine import make_url

from web.errors import Invalid
from web.postgres.driver_errors import clean
from web.postgres.urls import (
    conninfo,
    database_argument,
    database_name,
    libpq_environment,
    parameters,
    redacted,
    sqlalchemy_url,
    with_database,
)

CANARY = "c@nary/:?#'\"<>%41 é😀"
HOSTILE_NAMES = (
    "plain",
    "with space",
    "trailing ",
    "o'brien",
    'say "hi"',
    "<script>alert(1)</script>",
    "🐘 elephants",
    "host=elsewhere dbname=x",
    "postgresql://elsewhere/x",
    "50%25/off?a=b&c#d",
    "back\\slash",
    "-d",
    "a=b",
    "user=u host = h port=1",
    "my password, and passfile",
    "at=x@y:1",
    "postgresql://x:y@h/d",
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h:1/d", {"user": "u", "password": "p", "host": "h", "port": "1", "dbname": "d"}),
        ("postgres://u@h/d", {"user": "u", "host": "h", "dbname": "d"}),
        (
            "postgresql+asyncpg://u@h/d?ssl=require",
            {"user": "u", "host": "h", "dbname": "d", "sslmode": "require"},
        ),
        ("postgresql+psycopg://u@/d?host=/run/x", {"user": "u", "host": "/run/x", "dbname": "d"}),
        ("host=h user=u dbname='a b'", {"host": "h", "user": "u", "dbname": "a b"}),
        ("postgresql://a,b:2/d", {"host": "a,b", "port": ",2", "dbname": "d"}),
        ("host=@abstract,/run/a@b dbname=d", {"host": "@abstract,/run/a@b", "dbname": "d"}),
    ],
)
def test_every_form_is_read(url: str, expected: dict[str, str]) -> None:
    assert parameters(url) == expected
    assert parameters(conninfo(url)) == expected


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("host", ["db.example", "/run/a b", "::1"])
def test_hostile_names_and_passwords_survive_every_form(name: str, host: str) -> None:
    url = with_database(f"host='{host}' port=5433 user='u 1@'", name)
    url = conninfo(psycopg.conninfo.make_conninfo(conninfo(url), password=CANARY))
    expected = {"host": host, "port": "5433", "user": "u 1@", "password": CANARY, "dbname": name}
    assert parameters(url) == expected
    assert parameters(sqlalchemy_url(url)) == expected
    assert parameters(make_url(url).set(drivername="postgresql+psycopg").render_as_string(False)) == expected
    assert database_name(url) == name
    environment = libpq_environment(url)
    assert environment["PGDATABASE"] == name
    assert environment["PGPASSWORD"] == CANARY
    assert psycopg.conninfo.conninfo_to_dict(database_argument(url)) == {"dbname": name}
    assert CANARY not in redacted(url) + database_argument(url)


def test_several_ports_travel_in_the_query() -> None:
    assert parameters(sqlalchemy_url("host=h port=1,2 user=u dbname=d"))["port"] == "1,2"


def test_other_drivers_get_host_and_tls_only() -> None:
    url = "postgresql://u:p@/we%20ird?host=/run/x&port=5433&sslmode=require&application_name=a"
    assert dict(make_url(sqlalchemy_url(url, "postgresql+asyncpg")).query) == {
        "host": "/run/x",
        "port": "5433",
        "database": "we ird",
        "ssl": "require",
    }


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://u:{CANARY}@h/d",
        "postgresql://u:canary@h:port:2/d",
        "postgresql://u@h/d?password=canary&nonsense=1",
        "host=h password=canary nonsense",
        "postgresql://u:canary%zz@h/d",
        "postgresql://u:canary\0@h/d",
        # libpq ends the password at the first @, so the host would hold the rest of it.
        "postgresql://u:p@canary@h/d",
        "postgresql://u:p@@canary@h:1/d",
        "postgresql://u:p@canary@h,other/d",
    ],
)
def test_what_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        parameters(url)
    assert "canary" not in str(caught.value).lower()
    assert caught.value.__cause__ is None
    assert redacted(url) == "postgresql://…"


@pytest.mark.parametrize(
    "name",
    [
        "host=evil dbname=x password=canary",
        "password=canary",
        "x PASSWORD = 'canary'",
        "sslpassword=canary",
        "dbname=x passfile=canary",
        "scram_client_key=canary",
        "oauth_client_secret=canary",
        "postgresql://u:c@h/x?password=canary",
    ],
)
@pytest.mark.parametrize("form", ["path", "query", "conninfo", "sqlalchemy"])
def test_a_secret_in_the_databases_name_is_not_repeated(name: str, form: str) -> None:
    """The server repeats the name of a database that it does not have, and so would every page and log."""
    quoted = quote(name, safe="")
    url = {
        "path": f"postgresql://u@h/{quoted}",
        "query": f"postgresql://u@h/?dbname={quoted}",
        "conninfo": psycopg.conninfo.make_conninfo(host="h", dbname=name),
        "sqlalchemy": f"postgresql+psycopg://u@h/?dbname={quoted}",
    }[form]
    with pytest.raises(Invalid, match="name of the database") as caught:
        parameters(url)
    assert "canary" not in str(caught.value) + caught.value.hint
    assert caught.value.__cause__ is None
    assert redacted(url) == "postgresql://…"


@pytest.mark.parametrize(
    "name",
    [
        "u:canary@h/x",
        "postgresql://u:canary@h:5432/x",
        f"u:{'canary' * 12}@h/x",
        f"{'é' * 25}:{'canary' * 9}@h",
    ],
)
def test_a_login_in_the_databases_name_is_not_shown(name: str) -> None:
    """`postgresql:///u:p@h/x`: one slash too many. Such a name may exist, so it is used and never repeated."""
    url = f"postgresql:///{quote(name, safe='')}"
    assert database_name(url) == name
    assert "canary" not in redacted(url)
    for repeated in (name, name.encode()[:63].decode(errors="ignore")):
        assert "canary" not in clean(f'FATAL:  database "{repeated}" does not exist', url)


def test_query_passwords_are_redacted() -> None:
    shown = redacted("postgresql://u@h/d?password=canary&sslpassword=canary2&passfile=/x")
    assert shown == "postgresql://u@h/d"


def test_a_key_with_a_passphrase_cannot_go_to_programs() -> None:
    with pytest.raises(Invalid, match="passphrase"):
        libpq_environment("postgresql://u@h/d?sslpassword=canary")
