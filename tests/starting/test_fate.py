"""What a reset is said to remove is what dropping removes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tests.operations.conftest import Site
from tests.operations.test_reset import NASTY
from web.acts.emptying import drop, read_contents
from web.config import ResetPolicy
from web.postgres.connections import connect
from web.postgres.urls import parameters
from web.schema.model import CatalogObject, OtherObject, Schema, shape_of
from web.schema.snapshot import read_schema
from web.starting.fate import doomed, fate_of

MORE = """
CREATE SCHEMA reports;
CREATE TABLE reports.of_days (at date PRIMARY KEY);
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM reports.of_days;
CREATE FUNCTION watched() RETURNS event_trigger LANGUAGE plpgsql AS 'begin end';
CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION watched();
"""


def objects_of(schema: Schema) -> Counter[tuple[str, str]]:
    """Everything by kind and name, but what hangs on the database or belongs to something else."""
    found: list[CatalogObject] = []
    for where, _ in shape_of(Schema).children:
        found += getattr(schema, where)
    return Counter(
        (each.form if isinstance(each, OtherObject) else type(each).kind, each.identity)
        for each in found
        if getattr(each, "owned_by", None) is None
        and type(each).kind not in ("setting", "default privileges")
    )


async def test_what_is_said_to_go_is_what_goes(site: Site) -> None:
    site.query(NASTY.replace("{database}", parameters(site.url)["dbname"]))
    site.query(MORE)
    async with connect(site.url) as connection:
        before = await read_schema(connection)
        for batch in (await read_contents(connection)).batches():
            await drop(connection, batch)
        after = await read_schema(connection)
    said = Counter(
        (each.form if isinstance(each, OtherObject) else type(each).kind, each.identity)
        for each in doomed(before)
    )
    assert objects_of(before) - objects_of(after) == said
    told = fate_of(before, site.configuration.project("clinic"), replace(site.dev, reset=ResetPolicy()))
    assert "reports" in told.schemas
    assert dict(told.goes)["materialized view"] >= 1
    assert dict(told.goes)["table"] == len(before.tables)
