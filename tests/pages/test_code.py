"""SQL, differences and prose as marked-up code."""

from __future__ import annotations

from web import addresses
from web.pages import code


def test_sql_is_coloured_and_escaped() -> None:
    shown = code.sql("SELECT '<b>' FROM t WHERE a < 5 -- <i>")
    assert '<span class="k">SELECT</span>' in shown
    assert '<span class="n">5</span>' in shown
    assert '<span class="c">-- &lt;i&gt;</span>' in shown
    assert "<b>" not in shown
    assert "<i>" not in shown


def test_a_migration_file_is_coloured_and_escaped() -> None:
    shown = code.python('def upgrade():  # <i>\n    op.execute("<b>")\n')
    assert '<span class="k">def</span>' in shown
    assert '<span class="c"># &lt;i&gt;</span>' in shown
    assert "<b>" not in shown
    assert code.python("x = 1\n" * 10_000) == "x = 1\n" * 10_000


def test_long_sql_is_shown_plain() -> None:
    assert "<span" not in code.sql("SELECT 1; " * 10_000)


def test_prose_marks_code_and_nothing_else() -> None:
    assert code.prose("Run `a <b>` <now>") == "Run <code>a &lt;b&gt;</code> &lt;now&gt;"
    assert code.prose("one ` alone") == "one ` alone"


def test_addresses_keep_names_whole() -> None:
    assert (
        addresses.environment("a/b", "ü ?#", "drift") == "/projects/a%2Fb/environments/%C3%BC%20%3F%23/drift"
    )
    assert addresses.job_stream(7, 0) == "/jobs/7/stream?after=0"
    assert addresses.question("clinic") == "/question?project=clinic"


def test_element_ids_tell_names_apart() -> None:
    assert addresses.element_id("cell", "a-b", "c") != addresses.element_id("cell", "a", "b-c")
