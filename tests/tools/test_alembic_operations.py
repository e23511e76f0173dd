"""Statements as `op` calls: the text of each form, and every line of it is Python whatever things are called."""

from __future__ import annotations

import ast

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from web.schema.ddl.statement import Statement
from web.tools.alembic_tool.op_calls import lines

CASES = {
    "ALTER TABLE public.users ADD COLUMN note character varying(20) DEFAULT 'x'::character varying NOT NULL": (
        "op.add_column('users', sa.Column('note', sa.String(length=20), "
        "server_default=sa.text(\"'x'::character varying\"), nullable=False))"
    ),
    "ALTER TABLE sales.orders ADD COLUMN tags text[]": (
        "op.add_column('orders', sa.Column('tags', postgresql.ARRAY(sa.Text()), nullable=True), schema='sales')"
    ),
    'ALTER TABLE public."User" DROP COLUMN "a""b"': "op.drop_column('User', 'a\"b')",
    "ALTER TABLE public.users ALTER COLUMN email SET NOT NULL": (
        "op.alter_column('users', 'email', nullable=False)"
    ),
    "ALTER TABLE public.users ALTER COLUMN at SET DEFAULT now()": (
        "op.alter_column('users', 'at', server_default=sa.text('now()'))"
    ),
    "ALTER TABLE public.users ALTER COLUMN at DROP DEFAULT": "op.alter_column('users', 'at', server_default=None)",
    "ALTER TABLE public.users ALTER COLUMN n TYPE bigint": "op.alter_column('users', 'n', type_=sa.BigInteger())",
    "ALTER TABLE a.users ALTER COLUMN n TYPE numeric(8,2) USING n::text::numeric(8,2)": (
        "op.alter_column('users', 'n', type_=sa.Numeric(8, 2), postgresql_using='n::text::numeric(8,2)', schema='a')"
    ),
    'ALTER TABLE public.users ALTER COLUMN n TYPE text COLLATE "C"': (
        "op.execute('ALTER TABLE public.users ALTER COLUMN n TYPE text COLLATE \"C\"')"
    ),
    "ALTER TABLE public.users RENAME COLUMN a TO b": "op.alter_column('users', 'a', new_column_name='b')",
    "ALTER TABLE public.users RENAME TO people": "op.rename_table('users', 'people')",
    "DROP TABLE public.users": "op.drop_table('users')",
    "DROP INDEX public.by_email": "op.drop_index(op.f('by_email'))",
    "CREATE UNIQUE INDEX by_email ON public.users USING btree (email, at)": (
        "op.create_index(op.f('by_email'), 'users', ['email', 'at'], unique=True)"
    ),
    "CREATE INDEX CONCURRENTLY by_email ON public.users USING btree (email)": (
        "op.create_index(op.f('by_email'), 'users', ['email'], unique=False)"
    ),
    "CREATE INDEX late ON public.users USING btree (at) WHERE (at > '2020-01-01'::date)": (
        "op.create_index(op.f('late'), 'users', ['at'], unique=False, "
        "postgresql_where=sa.text(\"(at > '2020-01-01'::date)\"))"
    ),
    "CREATE INDEX words ON other.users USING gin (words)": (
        "op.create_index(op.f('words'), 'users', ['words'], unique=False, postgresql_using='gin', schema='other')"
    ),
    "ALTER TABLE public.users ADD CONSTRAINT positive CHECK ((id > 0))": (
        "op.create_check_constraint(op.f('positive'), 'users', sa.text('(id > 0)'))"
    ),
    "ALTER TABLE public.a ADD CONSTRAINT f FOREIGN KEY (x, y) REFERENCES other.b(x, y) ON DELETE SET NULL": (
        "op.create_foreign_key(op.f('f'), 'a', 'b', ['x', 'y'], ['x', 'y'], referent_schema='other', "
        "ondelete='SET NULL')"
    ),
    "ALTER TABLE public.a ADD CONSTRAINT u UNIQUE (x)": "op.create_unique_constraint(op.f('u'), 'a', ['x'])",
    "ALTER TABLE public.a DROP CONSTRAINT u": "op.drop_constraint(op.f('u'), 'a')",
    # What `op` would not give exactly is left to SQL.
    "CREATE INDEX a ON public.users USING btree (email) WHERE (email ~~ 'a%'::text)": (
        "op.execute(\"CREATE INDEX a ON public.users USING btree (email) WHERE (email ~~ 'a%'::text)\")"
    ),
    "CREATE UNIQUE INDEX a ON public.users USING btree (email) NULLS NOT DISTINCT WHERE (id > 0)": (
        "op.execute('CREATE UNIQUE INDEX a ON public.users USING btree (email) NULLS NOT DISTINCT WHERE (id > 0)')"
    ),
    "CREATE INDEX low ON public.users USING btree (lower(email))": (
        "op.execute('CREATE INDEX low ON public.users USING btree (lower(email))')"
    ),
    "ALTER TABLE public.users ADD COLUMN p point": "op.execute('ALTER TABLE public.users ADD COLUMN p point')",
    'ALTER TABLE public.users ADD COLUMN c text COLLATE "C"': (
        "op.execute('ALTER TABLE public.users ADD COLUMN c text COLLATE \"C\"')"
    ),
    "ALTER TABLE public.a ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES b(x) DEFERRABLE": (
        "op.execute('ALTER TABLE public.a ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES b(x) DEFERRABLE')"
    ),
    # A colon before a word would be a parameter.
    "COMMENT ON TABLE public.users IS 'at :noon, a\\:b, 12:30, x::y'": (
        "op.execute(\"COMMENT ON TABLE public.users IS 'at \\\\:noon, a\\\\\\\\:b, 12:30, x::y'\")"
    ),
}


@pytest.mark.parametrize("sql", CASES)
def test_one_statement(sql: str) -> None:
    (line,) = lines([Statement(sql)]).lines
    assert line == CASES[sql]
    ast.parse(line)


def test_a_new_table() -> None:
    sql = (
        "CREATE TABLE public.visits (\n    id integer NOT NULL,\n    at timestamp with time zone DEFAULT now(),\n"
        "    CONSTRAINT visits_pkey PRIMARY KEY (id)\n)"
    )
    (line,) = lines([Statement(sql)]).lines
    assert line == (
        "op.create_table(\n    'visits',\n    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),\n"
        "    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=True),\n"
        "    sa.PrimaryKeyConstraint('id', name=op.f('visits_pkey')),\n)"
    )


def test_forms_for_live_tables_become_plain_ones() -> None:
    head = "ALTER TABLE public.t"
    written = lines(
        [
            Statement("SET check_function_bodies = off"),
            Statement(f"{head} ADD CONSTRAINT a_is_not_null_proof CHECK (a IS NOT NULL) NOT VALID"),
            Statement(f"{head} VALIDATE CONSTRAINT a_is_not_null_proof", alone=True),
            Statement(f"{head} ALTER COLUMN a SET NOT NULL"),
            Statement(f"{head} DROP CONSTRAINT a_is_not_null_proof"),
            Statement(f"{head} ADD CONSTRAINT c CHECK ((a > 0)) NOT VALID"),
            Statement(f"{head} VALIDATE CONSTRAINT c", alone=True),
            Statement("CREATE UNIQUE INDEX CONCURRENTLY u ON public.t (a, b)", alone=True),
            Statement(f"{head} ADD CONSTRAINT u UNIQUE USING INDEX u"),
            Statement("DROP INDEX CONCURRENTLY public.old", alone=True),
            Statement("ALTER TYPE public.mood ADD VALUE 'ok'", alone=True),
            Statement("RESET check_function_bodies"),
        ]
    )
    assert written.lines == (
        "op.alter_column('t', 'a', nullable=False)",
        "op.create_check_constraint(op.f('c'), 't', sa.text('(a > 0)'))",
        "op.create_unique_constraint(op.f('u'), 't', ['a', 'b'])",
        "op.drop_index(op.f('old'))",
        "with op.get_context().autocommit_block():",
        "    op.execute(\"ALTER TYPE public.mood ADD VALUE 'ok'\")",
    )


@pytest.mark.parametrize(
    "name", ['"a\nimport os\n#"', "\"'''\"", '"\\"', '"%s{}"', '"\u2028x"', '"${x}"', '":x"']
)
def test_whatever_things_are_called_it_is_one_call(name: str) -> None:
    written = lines(
        [
            Statement(
                f"ALTER TABLE public.{name} ADD COLUMN {name} text", destructive=True, note=f"On {name}."
            ),
            Statement(f"CREATE FUNCTION public.{name}() RETURNS void\n LANGUAGE sql\nAS $$select {name}$$"),
            Statement(f"ALTER TYPE public.{name} ADD VALUE '{name}'", alone=True),
        ]
    )
    tree = ast.parse("def upgrade():\n    " + written.text)
    (function,) = tree.body
    assert isinstance(function, ast.FunctionDef)
    calls = [node for node in function.body if isinstance(node, ast.Expr)]
    assert len(function.body) == 3
    assert all(isinstance(each.value, ast.Call) for each in calls)
    # The SQL is whole, newlines and indentation too.
    (argument,) = calls[1].value.args  # type: ignore[attr-defined]
    assert "\n LANGUAGE sql\nAS $$" in ast.literal_eval(argument)


def test_nothing_to_do() -> None:
    assert lines([]).text == "pass"


BODY = "CREATE FUNCTION public.f() RETURNS text\n LANGUAGE sql\nAS $$\n  select '\\d :x'\n\tas \"it\"\n$$"


def test_a_body_keeps_its_lines_and_reads_as_it_is() -> None:
    written = lines([Statement(BODY), Statement(BODY, alone=True)])
    assert '\n    op.execute("""CREATE FUNCTION' in f"\n    {written.text}"
    assert "\n  select '" in written.text
    # A colon before a word would be a parameter.
    assert _executed(written.text) == [BODY.replace(" :x", " \\:x")] * 2


@pytest.mark.parametrize("end", [" ", "\r", "\u2028", '"', '"""', '""" x'])
def test_what_an_editor_would_change_is_written_line_by_line(end: str) -> None:
    statement = f"CREATE VIEW public.v AS\n SELECT 1{end}\n;{end}"
    written = lines([Statement(statement)])
    assert _executed(written.text) == [statement]
    assert "\n    " in written.text


def _executed(text: str) -> list[str]:
    tree = ast.parse("def upgrade():\n    " + text)
    return [
        ast.literal_eval(node.args[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "op.execute"
    ]


@given(st.text(st.sampled_from(":\\\\ab$1 '\""), max_size=12))
def test_colons_and_backslashes_reach_the_server_as_they_are(name: str) -> None:
    """Names with colons, and two of them together: `":name_:name_check"`."""
    sql = f"COMMENT ON TABLE public.t IS '{name}'"
    (written,) = _executed(lines([Statement(sql)]).text)
    compiled = sa.text(written).compile()
    assert compiled.string == sql
    assert compiled.params == {}
