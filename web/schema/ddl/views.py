"""Views and materialized views."""

from __future__ import annotations

from dataclasses import replace

from web.schema.ddl.columns import bare
from web.schema.ddl.statement import Ground, Made, Statement, literal, option_changes, settings
from web.schema.model import MaterializedView, View
from web.schema.names import quote


def create_view(item: View | MaterializedView, ground: Ground) -> Made:
    """Write CREATE VIEW or CREATE MATERIALIZED VIEW."""
    query = item.definition.rstrip().removesuffix(";")
    options = f" WITH ({settings(item.options)})" if item.options else ""
    columns = tuple(replace(bare(each), default=None) for each in item.columns)
    if isinstance(item, View):
        sql = f"CREATE VIEW {item.identity}{options} AS\n{query}"
        return [Statement(sql)], View(
            item.schema, item.name, item.definition, item.options, columns, owner=ground.role
        )
    method = f" USING {quote(item.access_method)}" if item.access_method else ""
    place = f" TABLESPACE {quote(item.tablespace)}" if item.tablespace else ""
    sql = f"CREATE MATERIALIZED VIEW {item.identity}{method}{options}{place} AS\n{query}"
    return [Statement(sql)], MaterializedView(
        item.schema,
        item.name,
        item.definition,
        item.access_method,
        item.options,
        item.tablespace,
        columns,
        owner=ground.role,
    )


def alter_view(a: View, b: View, what: set[str]) -> list[Statement] | None:
    """Lead a view from b to a; None where columns would go."""
    if "definition" in what:
        old = [(each.name, each.type, each.collation) for each in b.columns]
        new = [(each.name, each.type, each.collation) for each in a.columns]
        if new[: len(old)] != old:
            return None
        options = (
            f" WITH ({', '.join(f'{n}={literal(v)}' for n, _, v in (o.partition('=') for o in a.options))})"
        )
        query = a.definition.rstrip().removesuffix(";")
        return [Statement(f"CREATE OR REPLACE VIEW {a.identity}{options if a.options else ''} AS\n{query}")]
    return option_changes(f"ALTER VIEW {a.identity}", b.options, a.options)


def alter_materialized_view(
    a: MaterializedView, b: MaterializedView, what: set[str]
) -> list[Statement] | None:
    """Lead a materialized view from b to a; None where its query differs."""
    if what & {"definition"}:
        return None
    head = f"ALTER MATERIALIZED VIEW {a.identity}"
    made: list[Statement] = []
    if "access_method" in what:
        made.append(Statement(f"{head} SET ACCESS METHOD {quote(a.access_method or 'heap')}"))
    if "options" in what:
        made += option_changes(head, b.options, a.options)
    if "tablespace" in what:
        made.append(Statement(f"{head} SET TABLESPACE {quote(a.tablespace or 'pg_default')}"))
    return made
