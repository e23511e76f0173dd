"""A stored plan's migration as pages show it: its statements with what each would do to a live table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from web.pages.views.environment.migrations import Hazard, RehearsedStatement
from web.pages.views.marks import Mark
from web.schema.ddl.hazard import hazards_from_json
from web.tools.history import Migration


def planned_of(content: Mapping[str, Any], pending: Iterable[Migration]) -> dict[str, Mapping[str, Any]]:
    """What a stored plan has of these migrations, by revision: of their files as they are, and that were seen to run.

    One at which a rehearsal stopped is among them, with what it executed until then.
    """
    planned = {each["revision"]: each for each in content.get("migrations", ())}
    # Plans of before what ran was written down do not say.
    ran = content.get("ran") or planned
    return {
        step.revision: planned[step.revision]
        for step in pending
        if step.revision in planned
        and content["files"].get(step.revision) == step.digest
        and (step.revision in ran or planned[step.revision]["statements"])
    }


def statements_of(planned: Mapping[str, Any] | None) -> tuple[RehearsedStatement, ...] | None:
    """What the rehearsal of a migration executed; None: it was not rehearsed."""
    if planned is None:
        return None
    return tuple(
        RehearsedStatement(each["sql"], each["seconds"], _hazards(each["hazards"]))
        for each in planned["statements"]
    )


def hazards_of(planned: Mapping[str, Any] | None) -> tuple[Hazard, ...]:
    """All hazards of a migration, each once."""
    statements = planned["statements"] if planned else ()
    return tuple(dict.fromkeys(hazard for each in statements for hazard in _hazards(each["hazards"])))


def _hazards(stored: list[Mapping[str, Any]]) -> tuple[Hazard, ...]:
    return tuple(
        Hazard(Mark("failed" if hazard.kind.startswith("drops") else "warn", hazard.words))
        for hazard in hazards_from_json(stored)
    )
