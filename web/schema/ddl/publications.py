"""Publications."""

from __future__ import annotations

from dataclasses import replace

from web.schema.ddl.statement import Ground, Statement, literal
from web.schema.model import Publication


def alter_publication(
    a: Publication, b: Publication, what: set[str], ground: Ground
) -> list[Statement] | None:
    """Lead a publication from b to a; None where it is for all tables on one side only."""
    if "all_tables" in what:
        return None
    head = f"ALTER PUBLICATION {a.identity}"
    made = []
    if what & {"operations", "via_root", "generated_columns"}:
        made.append(Statement(f"{head} SET ({publication_options(a, ground)})"))
    if what & {"tables", "schemas"}:
        if a.tables or a.schemas:
            made.append(Statement(f"{head} SET {publication_tables(a)}"))
        else:
            bare = replace(b, tables=tuple(each.split(" ", 1)[0] for each in b.tables))
            made.append(Statement(f"{head} DROP {publication_tables(bare)}"))
    return made


def publication_tables(item: Publication) -> str:
    """Write what a publication is for, without FOR; empty where that is nothing."""
    parts = []
    if item.tables:
        parts.append(f"TABLE {', '.join(item.tables)}")
    if item.schemas:
        parts.append(f"TABLES IN SCHEMA {', '.join(item.schemas)}")
    return ", ".join(parts)


def publication_options(item: Publication, ground: Ground) -> str:
    """Write a publication's parameters."""
    options = f"publish = {literal(', '.join(item.operations))}, publish_via_partition_root = {item.via_root}"
    if ground.major >= 18:
        options += f", publish_generated_columns = {item.generated_columns or 'none'}"
    return options.replace("True", "true").replace("False", "false")
