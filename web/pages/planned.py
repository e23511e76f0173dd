"""A stored plan's migration as pages show it: its statements with what each would do to a live table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from web.pages.views.environment import Hazard, RehearsedStatement
from web.pages.views.marks import Mark
from web.plans import hazards


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
        for hazard in hazards.hazards_from_json(stored)
    )
