"""An environment's Drift tab: the differences, those that are ignored, and what can be done about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.access.permissions import Principal, may
from web.answers.environment import View
from web.comparison.ignore_rules import active_rules, sort_out
from web.config import Environment
from web.dashboard import Dashboard
from web.observation.records import Drift, read_drift
from web.pages.differences import LISTED, groups, item, portion
from web.pages.environment.head import actions_at, check_action, job_action
from web.pages.presenting import running_job
from web.pages.views.differences import DriftItem
from web.pages.views.drift import DriftTab, RepairStatement, ShownCount, ShownRepair
from web.pages.views.marks import Action, Link, Mark
from web.remedies.counting import refused
from web.remedies.repair import Repair, read_drift_and_repair
from web.schema.ddl.statement import Statement
from web.schema.finding import Difference
from web.starting.operation import Operations

#: So many statements of a repair are shown each by itself, the others as one text.
STATEMENTS = 100


async def drift(
    store: AsyncConnection, board: Dashboard, who: Principal, seen: View, page: int = 1
) -> DriftTab:
    """A page of the differences, grouped by table or object; or why there is no answer."""
    environment, observation, record = seen.environment, seen.observation, seen.record
    compare = check_action(board.kinds, None, environment, "Compare now")
    looking = record.job if record and record.job and record.job.observes else None
    if observation is None or record is None:
        mark = Mark("running", "Comparing") if looking else Mark("unknown", "Not compared")
        return DriftTab(
            "comparing" if looking else "not compared",
            mark,
            "The applied migrations are replayed in a scratch database and its schema is compared with this one.",
            compare=compare,
            job=running_job(looking, board.kinds),
        )
    found = observation.drift
    at = ", ".join(words.short(each) for each in observation.revisions) or "no migration"
    if found.state in ("unknown", "not compared"):
        return DriftTab(
            "could not compare",
            Mark("unknown", found.words),
            found.reason or "Nobody has compared it yet.",
            compared_at=observation.observed_at,
            compare=compare,
            ignored=await _ignored(store, environment, found),
            ignored_count=found.ignored,
            corners=_corners(seen),
        )
    if found.state == "none":
        but = (
            f", apart from {words.plural(found.ignored, 'difference')} that somebody answers for"
            if found.ignored
            else ""
        )
        return DriftTab(
            "same",
            Mark("ok", found.words),
            f"{observation.database} has exactly the schema that the migrations up to {at} give{but}.",
            compared_at=observation.observed_at,
            compare=compare,
            ignored=await _ignored(store, environment, found),
            ignored_count=found.ignored,
            corners=_corners(seen),
        )
    differences, repair = await read_drift_and_repair(store, record.environment_id, observation)
    # A rule that covers nothing of this need not be known.
    rules = await active_rules(store, environment.project, environment.name) if found.ignored else ()
    sorted_out = sort_out(differences, rules)
    path = addresses.environment(environment.project, environment.name, "drift")
    shown, pages = portion(sorted_out.differences, page, path)
    may_ignore = may(who, "ignore", environment.project)
    return DriftTab(
        "different",
        Mark("drift", found.words),
        f"Expected is what the migrations up to {at} give, replayed in a scratch database of the same major "
        f"version; actual is what {observation.database} has.",
        groups=groups(
            shown,
            since=observation.since,
            ignore=lambda each: _ignore(environment, each) if may_ignore else None,
            ways=lambda each: _ways(board.kinds, who, seen, each) if len(differences) > 1 else (),
        ),
        count=len(sorted_out.differences),
        pages=pages,
        compared_at=observation.observed_at,
        compare=compare,
        actions=await _actions(store, board, who, seen, repair),
        repair=shown_repair(repair) if repair is not None else None,
        ignored=tuple(
            item(each, rule=(rule, addresses.ignore_rules(environment.project)))
            for each, rule in sorted_out.ignored[:LISTED]
        ),
        ignored_count=len(sorted_out.ignored),
        corners=_corners(seen),
    )


async def _ignored(store: AsyncConnection, environment: Environment, found: Drift) -> tuple[DriftItem, ...]:
    if not found.ignored:
        return ()
    rules = await active_rules(store, environment.project, environment.name)
    path = addresses.ignore_rules(environment.project)
    return tuple(
        item(each, rule=(rule, path))
        for each, rule in sort_out(await read_drift(store, found), rules).ignored[:LISTED]
    )


def _ignore(environment: Environment, each: Difference) -> Link:
    path = addresses.new_ignore_rule(
        environment.project,
        environment=environment.name,
        kind=each.kind,
        object=each.object,
        attribute=each.attribute,
    )
    return Link("Ignore until…", path)


def _ways(kinds: Operations, who: Principal, seen: View, each: Difference) -> tuple[Action, ...]:
    """What can be begun about one difference; what is closed here is not spoken of once for each."""
    found = actions_at(kinds, "difference", who, seen, only=each.object)
    return tuple(way for way in found if way.closed is None)


async def _actions(
    store: AsyncConnection, board: Dashboard, who: Principal, seen: View, repair: Repair | None
) -> tuple[Action, ...]:
    """The roads out of drift: undo it here, or make it official."""
    found = [*actions_at(board.kinds, "drift", who, seen, made=repair is not None)]
    for kind, offer in board.kinds.at("repair") if repair is not None else ():
        before = await kind.before(store, seen)
        action = job_action(kind, who, seen, text=offer.words, before=before)
        loses = before.repair is not None and before.repair.loses
        found.append(replace(action, primary=True, danger=loses))
    return tuple(found)


def shown_repair(repair: Repair) -> ShownRepair:
    """A repair with its statements and what it leaves."""
    if repair.refusal is not None:
        mark = Mark("failed", "Not proven")
    elif refused(repair.counted) is not None:
        mark = Mark("blocked", "Proven on a scratch copy, refused by rows")
    elif not repair.statements:
        mark = Mark("unknown", "Nothing that Clean Start can write")
    else:
        mark = Mark("ok", "Proven on a scratch copy")
    return ShownRepair(
        mark,
        repair.made_at,
        statements(repair.statements[:STATEMENTS]),
        len(repair.statements),
        _text(repair.statements[STATEMENTS:]),
        tuple(f"{each.difference.kind} {each.difference.object}: {each.reason}" for each in repair.left),
        len(repair.kept),
        repair.refusal,
        tuple(
            ShownCount(f"{each.words}.", each.demand.query)
            for each in repair.counted
            if each.refused or each.count is None
        )[:STATEMENTS],
        len(repair.counted),
    )


def statements(found: Iterable[Statement]) -> tuple[RepairStatement, ...]:
    """Statements of a repair, with what a person should know of each."""
    return tuple(
        RepairStatement(
            each.sql,
            (
                *((Mark("failed", "May lose data"),) if each.destructive else ()),
                *((Mark("warn", each.note),) if each.note else ()),
            ),
        )
        for each in found
    )


def _text(found: Iterable[Statement]) -> str:
    """The same as one text."""
    lines = []
    for each in found:
        lines += ["-- May lose data."] * each.destructive
        lines += [f"-- {' '.join(each.note.split())}"] if each.note else []
        lines.append(f"{each.sql};")
    return "\n".join(lines)


def _corners(seen: View) -> tuple[Link, ...]:
    """The other pairs that this database may be compared in."""
    environment = seen.environment
    found = []
    if seen.project.tool.models:
        models, head = f"{environment.project}:models", f"{environment.project}@head"
        found += [
            Link(
                "Models and this database",
                addresses.comparison(environment.project, models, environment.label),
            ),
            Link("Models and migrations", addresses.comparison(environment.project, models, head)),
        ]
    found.append(Link("Another pair…", addresses.comparison(environment.project, None, environment.label)))
    return tuple(found)
