"""Lists whose order means nothing are written in one order, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.schema.conftest import CaseDatabase
from web.schema import listings
from web.schema.difference import difference
from web.schema.serialize import from_json, to_json
from web.schema.snapshot import read_schema


@pytest.mark.parametrize(
    ("written", "given", "becomes"),
    [
        (listings.index, "USING btree (b, a)", "USING btree (b, a)"),
        (
            listings.index,
            "USING btree (b, a) WITH (fillfactor='70', deduplicate_items=off) WHERE (a > 0)",
            "USING btree (b, a) WITH (deduplicate_items=off, fillfactor='70') WHERE (a > 0)",
        ),
        (
            listings.index,
            "USING btree (((a || ' WITH (z=1, b=2)'::text))) WHERE (a <> ' WITH (z=1, b=2)'::text)",
            "USING btree (((a || ' WITH (z=1, b=2)'::text))) WHERE (a <> ' WITH (z=1, b=2)'::text)",
        ),
        (
            listings.trigger,
            "BEFORE INSERT OR UPDATE OF b, a OR TRUNCATE ON public.t EXECUTE FUNCTION f('b, a')",
            "BEFORE INSERT OR UPDATE OF a, b OR TRUNCATE ON public.t EXECUTE FUNCTION f('b, a')",
        ),
        (
            listings.trigger,
            'BEFORE UPDATE OF "z, ON t", "a b" ON t WHEN ((new.a IS DISTINCT FROM old.a)) EXECUTE FUNCTION f()',
            'BEFORE UPDATE OF "a b", "z, ON t" ON t WHEN ((new.a IS DISTINCT FROM old.a)) EXECUTE FUNCTION f()',
        ),
        (
            listings.trigger,
            "AFTER UPDATE ON t EXECUTE FUNCTION f()",
            "AFTER UPDATE ON t EXECUTE FUNCTION f()",
        ),
        (listings.statistics, "(mcv) ON b, a FROM public.t", "(mcv) ON a, b FROM public.t"),
        (
            listings.statistics,
            "ON b, a, (c + 1), lower(((d || ', '::text) || ' FROM '::text)) FROM t",
            "ON (c + 1), a, b, lower(((d || ', '::text) || ' FROM '::text)) FROM t",
        ),
        (listings.published, "public.t", "public.t"),
        (listings.published, "public.t (b, a)", "public.t (a, b)"),
        (listings.published, 'public."t (z, y)" (b, a)', 'public."t (z, y)" (a, b)'),
        (
            listings.published,
            "public.t (b, a) WHERE ((a, b) = (1, 0))",
            "public.t (a, b) WHERE ((a, b) = (1, 0))",
        ),
        (listings.published, "public.t WHERE ((b, a) = (1, 0))", "public.t WHERE ((b, a) = (1, 0))"),
        (
            listings.function,
            "()\n RETURNS integer\n LANGUAGE sql\n SET work_mem TO '1MB'\n SET search_path TO 'public'\nAS $f$x$f$\n",
            "()\n RETURNS integer\n LANGUAGE sql\n SET search_path TO 'public'\n SET work_mem TO '1MB'\nAS $f$x$f$\n",
        ),
        (
            listings.function,
            "()\n LANGUAGE sql\nAS $f$\n SET z TO 1\n SET a TO 2\n$f$\n",
            "()\n LANGUAGE sql\nAS $f$\n SET z TO 1\n SET a TO 2\n$f$\n",
        ),
        (
            listings.function,
            "()\n SET b TO 'two\n SET lines'\n SET a TO '1'\nAS $f$x$f$\n",
            "()\n SET b TO 'two\n SET lines'\n SET a TO '1'\nAS $f$x$f$\n",
        ),
    ],
)
def test_what_is_sorted_and_what_is_not(written: Callable[[str], str], given: str, becomes: str) -> None:
    assert written(given) == becomes
    assert written(becomes) == becomes


@pytest.mark.asyncio(loop_scope="module")
async def test_where_columns_come_in_another_order_nothing_else_differs(case_database: CaseDatabase) -> None:
    connection = await case_database.get()
    rest = (
        "create statistics s on a, b from t; create statistics x on a, (b + 1), abs(c) from t; "
        "create publication p for table t (a, b); create index on t (b, a)"
    )
    await connection.execute(f"create table t (a int, b int, c int); {rest}")
    one = await read_schema(connection)
    await case_database.empty()
    again = await case_database.get()
    await again.execute(f"create table t (c int, b int, a int); {rest}")
    other = await read_schema(again)
    assert {(each.kind, each.attribute) for each in difference(one, other)} == {("table", "column order")}


def test_what_an_earlier_version_stored_is_told_in_the_same_order() -> None:
    stored = (
        b'{"format":1,"server_major":17,"tables":[{"schema":"public","name":"t","form":"table","triggers":'
        b'[{"name":"g","definition":"BEFORE UPDATE OF b, a ON public.t EXECUTE FUNCTION f()"}]}]}'
    )
    assert b"UPDATE OF a, b ON" in to_json(from_json(stored))
