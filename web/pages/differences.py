"""Differences as pages show them: grouped, titled, side by side. What is compared is the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from web.comparison.ignore_rules import IgnoreRule
from web.pages.views.differences import DriftGroup, DriftItem, RuleNote
from web.pages.views.marks import Action, Link, Pages
from web.schema.finding import Difference

#: A page ends with the table or object at which it has so many.
LISTED = 100
#: What is named within its table in a title.
PARTS = frozenset({"column", "constraint", "trigger", "policy"})
#: Attributes whose values are no SQL, though they have spaces in them.
WORDS = frozenset({"comment", "name", "column order"})


@dataclass(frozen=True, slots=True)
class Sides:
    """What the two sides are called, in a sentence ("is in {b}, not in {a}") and over them."""

    a: str = "the migrations"
    b: str = "the database"
    headings: tuple[str, str] = ("Expected, from migrations", "Actual, in the database")
    #: Side b came after a: told as what happened.
    over_time: bool = False


BEFORE_AFTER = Sides(headings=("Before", "After"), over_time=True)


def portion(
    differences: Sequence[Difference], page: int, path: str
) -> tuple[Sequence[Difference], Pages | None]:
    """The differences of a page, those of a table or object together; and the ways on, where there are more.

    Pages are counted from 1; beyond the last one is the last one.
    """
    if len(differences) <= LISTED:
        return differences, None
    portions: list[list[Difference]] = [[]]
    for together in _together(differences).values():
        if len(portions[-1]) >= LISTED:
            portions.append([])
        portions[-1] += together
    if len(portions) == 1:
        return differences, None
    page = min(page, len(portions))
    before = sum(len(each) for each in portions[: page - 1])
    shown = portions[page - 1]
    pages = Pages(
        f"{before + 1:,} to {before + len(shown):,} of {len(differences):,} differences",
        _numbered(path, page - 1) if page > 1 else None,
        _numbered(path, page + 1) if page < len(portions) else None,
        ("Previous", "Next"),
    )
    return shown, pages


def _numbered(path: str, page: int) -> str:
    return path if page == 1 else f"{path}{'&' if '?' in path else '?'}page={page}"


def _together(differences: Iterable[Difference]) -> dict[str, list[Difference]]:
    found: dict[str, list[Difference]] = {}
    for each in differences:
        found.setdefault(each.group or each.object, []).append(each)
    return found


def groups(
    differences: Iterable[Difference],
    sides: Sides = Sides(),
    *,
    since: datetime | None = None,
    ignore: Callable[[Difference], Link | None] = lambda _: None,
    ways: Callable[[Difference], tuple[Action, ...]] = lambda _: (),
) -> tuple[DriftGroup, ...]:
    """Group differences by the table or object that they belong to, in their order.

    `ignore` gives the way to a new rule for one of them, `ways` what can be begun about it alone.
    """
    return tuple(
        DriftGroup(
            name,
            tuple(item(each, sides, since=since, ignore=ignore(each), ways=ways(each)) for each in together),
        )
        for name, together in _together(differences).items()
    )


def item(
    each: Difference,
    sides: Sides = Sides(),
    *,
    since: datetime | None = None,
    ignore: Link | None = None,
    ways: tuple[Action, ...] = (),
    rule: tuple[IgnoreRule, str] | None = None,
) -> DriftItem:
    """One difference; `rule` is the rule that covers it, with its address."""
    code = each.attribute not in WORDS and any(
        side and ("\n" in side or " " in side.strip()) for side in (each.a, each.b)
    )
    return DriftItem(
        title(each, sides),
        each.object,
        each.kind,
        each.severity,
        each.a,
        each.b,
        each.attribute,
        first_seen=since,
        code=code,
        headings=sides.headings,
        ignore=ignore,
        ways=ways,
        rule=RuleNote(rule[0].reason, rule[0].owner, rule[0].expires_at, rule[1]) if rule else None,
    )


def title(each: Difference, sides: Sides) -> str:
    """Say in a sentence what differs."""
    kind = each.kind[0].upper() + each.kind[1:]
    name = _within(each, each.object)
    if each.kind == "grant":
        name = f"on {each.object} {each.attribute or ''}".rstrip()
    attribute = (each.attribute or "definition").replace("_", " ")
    match each.change:
        case "added" | "removed" if sides.over_time:
            return f"{kind} {name} was {each.change}"
        case "renamed" if sides.over_time:
            return f"{kind} {_within(each, each.a or '')} was renamed to {name}"
        case _ if sides.over_time:
            return f"{kind} {name}: {attribute} was changed"
        case "added":
            return f"{kind} {name} is in {sides.b}, not in {sides.a}"
        case "removed":
            return f"{kind} {name} is in {sides.a}, not in {sides.b}"
        case "renamed" if each.attribute == "name":
            return f"{kind} {_within(each, each.a or '')} is called {name} in {sides.b}"
        case _ if each.a is None:
            return f"{kind} {name}: {attribute} is in {sides.b}, not in {sides.a}"
        case _ if each.b is None:
            return f"{kind} {name}: {attribute} is in {sides.a}, not in {sides.b}"
        case _:
            return f"{kind} {name}: {attribute} differs"


def _within(each: Difference, name: str) -> str:
    """The name without the table's, where the table stands over it anyway."""
    return name.removeprefix(f"{each.group}.") if each.kind in PARTS else name
