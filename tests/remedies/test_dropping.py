"""The way down from a baseline: no key is dropped before its own table goes, unless keys form a circle."""

from __future__ import annotations

from web.remedies.dropping import tables_in_order
from web.schema.ddl.statement import Statement


def key(table: str, referred: str) -> str:
    begun = f"ALTER TABLE public.{table} ADD CONSTRAINT k FOREIGN KEY (x)"
    return f"{begun} REFERENCES public.{referred}(id) ON DELETE CASCADE"


def dropped(forth: list[str], back: list[str]) -> list[str]:
    made = tables_in_order([Statement(each) for each in back], [Statement(each) for each in forth])
    return [each.sql for each in made]


def drop(*tables: str) -> list[str]:
    return [f"DROP TABLE public.{each}" for each in tables]


def unkey(*tables: str) -> list[str]:
    return [f"ALTER TABLE public.{each} DROP CONSTRAINT k" for each in tables]


def test_what_refers_goes_first_and_takes_its_key_with_it() -> None:
    forth = [key("b", "a"), key("c", "b"), key("d", "d")]
    back = [
        *unkey("b"),
        *drop("a"),
        *unkey("c"),
        *drop("b"),
        "DROP TYPE public.mood",
        *drop("c"),
        *unkey("d"),
        *drop("d"),
    ]
    assert dropped(forth, back) == [*drop("c", "b", "a", "d"), "DROP TYPE public.mood"]


def test_keys_in_a_circle_are_dropped() -> None:
    forth = [key("a", "b"), key("b", "a"), key("c", "a")]
    back = [*unkey("a"), *drop("a"), *unkey("b", "c"), *drop("b", "c")]
    made = dropped(forth, back)
    assert made[:-3] in (unkey("a"), unkey("b"), unkey("a", "b"))
    assert made[-3:].index(drop("c")[0]) < made[-3:].index(drop("a")[0])


def test_what_stays_keeps_its_statements() -> None:
    """A table that the prelude makes is not dropped: a key of it is."""
    forth = [key("there", "a"), key("a", "there")]
    back = ["DROP VIEW public.v", *unkey("there", "a"), *drop("a"), "ALTER TABLE public.there DROP COLUMN x"]
    assert dropped(forth, back) == [
        "DROP VIEW public.v",
        *unkey("there"),
        *drop("a"),
        "ALTER TABLE public.there DROP COLUMN x",
    ]
    assert dropped([], ["SELECT 1"]) == ["SELECT 1"]
