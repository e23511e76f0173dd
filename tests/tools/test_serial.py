"""Numbered columns: `serial` stands for sequence, default and owner only where it makes exactly those."""

from __future__ import annotations

import pytest

from web.schema.ddl.statement import Statement
from web.tools.alembic_tool.op_calls import lines
from web.tools.alembic_tool.serial import usual_sequence, with_serial

TABLE = (
    "CREATE TABLE public.t (\n    id integer DEFAULT nextval('public.t_id_seq'::regclass) NOT NULL,\n    name text,\n"
    "    CONSTRAINT t_pkey PRIMARY KEY (id)\n)"
)
USUAL = (
    "CREATE SEQUENCE public.t_id_seq AS integer",
    TABLE,
    "ALTER SEQUENCE public.t_id_seq OWNED BY public.t.id",
)


def folded(*statements: str) -> list[str]:
    return [each.sql for each in with_serial([Statement(each) for each in statements])]


def test_sequence_default_and_owner_are_one_word() -> None:
    (made,) = folded(*USUAL)
    assert "    id serial NOT NULL,\n" in made
    written = lines([Statement(each) for each in USUAL]).text
    assert "sa.Column('id', sa.Integer(), autoincrement=True, nullable=False)" in written
    assert "SEQUENCE" not in written
    for kind, word in (("smallint", "smallserial"), ("bigint", "bigserial")):
        (made,) = folded(*(each.replace("integer", kind) for each in USUAL))
        assert f"id {word} NOT NULL" in made
    (made,) = folded(*(each.replace(" AS integer", "").replace("integer", "bigint") for each in USUAL))
    assert "id bigserial NOT NULL" in made


def test_what_comes_after_the_table_may_name_the_sequence() -> None:
    grant = "GRANT USAGE ON SEQUENCE public.t_id_seq TO PUBLIC"
    assert folded(*USUAL, grant)[1:] == [grant]


@pytest.mark.parametrize(
    "changed",
    [
        ("CREATE SEQUENCE public.t_id_seq AS integer START WITH 7", *USUAL[1:]),
        ("CREATE SEQUENCE public.t_id_seq AS bigint", *USUAL[1:]),
        (
            "CREATE SEQUENCE public.other AS integer",
            *(each.replace("t_id_seq", "other") for each in USUAL[1:]),
        ),
        (USUAL[0], "COMMENT ON SEQUENCE public.t_id_seq IS 'x'", *USUAL[1:]),
        (USUAL[0], TABLE.replace(" NOT NULL", ""), USUAL[2]),
        (USUAL[0], TABLE.replace("PRIMARY KEY (id)", "PRIMARY KEY (id, name)"), USUAL[2]),
        (USUAL[0], TABLE.replace("PRIMARY KEY (id)", "UNIQUE (id)"), USUAL[2]),
        (USUAL[0], TABLE.replace("t_id_seq'::regclass)", "t_id_seq'::regclass) + 1"), USUAL[2]),
        USUAL[:2],
        (USUAL[1], USUAL[0], USUAL[2]),
    ],
)
def test_what_serial_would_not_make_stays(changed: tuple[str, ...]) -> None:
    assert folded(*changed) == list(changed)


def test_names_that_are_cut_or_quoted_are_left_alone() -> None:
    assert usual_sequence("public.t", "id") == "public.t_id_seq"
    assert usual_sequence('public."T"', "id") == ""
    assert usual_sequence("public.t", '"Id"') == ""
    assert usual_sequence(f"public.{'t' * 60}", "id") == ""


def test_a_heading_goes_on_to_what_follows() -> None:
    statements = [
        Statement(USUAL[0], note="Types, sequences and functions"),
        Statement("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
        Statement(TABLE, note="Tables"),
        Statement(USUAL[2]),
    ]
    assert [each.note for each in with_serial(statements)] == ["Types, sequences and functions", "Tables"]
