"""Model drift: what the project's models say against its migrations or a live database, for pages and API.

It is compare_sources of two sources; what no model could have said is kept apart, never hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

from web.inspection.comparison import Comparison, compare_sources
from web.inspection.sources import Reader, parse_source
from web.inspection.unmodelled import can_be_modelled
from web.schema.difference import Difference


@dataclass(frozen=True, slots=True)
class ModelDrift:
    """The differences of the other side from the models, in two parts."""

    comparison: Comparison
    #: What a model can say: either a migration or a change of a model is missing.
    modelled: tuple[Difference, ...]
    #: What a MetaData has no words for: views, functions, triggers, policies, extensions, grants …
    unmodelled: tuple[Difference, ...]


async def model_drift(reader: Reader, project: str, environment: str | None = None) -> ModelDrift:
    """Compare the models with the migrations' heads, or with an environment's database as it is now.

    Slow: it runs the project's interpreter and reads databases, so it is for workers and the command line.
    Raises CouldNotCompare and what else keeps from it, see compare_sources.
    """
    other = f"{project}/{environment}" if environment is not None else f"{project}@heads"
    found = await compare_sources(reader, parse_source(f"{project}:models"), parse_source(other))
    modelled = tuple(each for each in found.differences if can_be_modelled(each))
    return ModelDrift(found, modelled, tuple(each for each in found.differences if not can_be_modelled(each)))
