"""Parts of pages that streams swap by themselves, and those that every page has: its navigation's marks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from web import addresses
from web.answers.overview import Overview
from web.pages.render import swapped
from web.pages.shell import project_mark, rail_mark, running_jobs, waiting_requests
from web.pages.views.marks import Mark


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a page that is swapped by itself; equal parts look alike."""

    id: str
    template: str
    #: Hashable ones.
    values: tuple[tuple[str, Any], ...]


@lru_cache(maxsize=5000)
def render(part: Part) -> str:
    """Write the part as streams send it."""
    # Once for all readers. An age in it may be old when it is sent again: the page counts on by itself.
    return swapped(part.id, part.template, **dict(part.values))


def rail_parts(found: Overview, project: str) -> Iterator[Part]:
    """Give the navigation's marks on a page of this project; empty: on one of no project."""
    for row in found.rows:
        name = row.project.name
        if name == project or len(found.rows) == 1:
            for each in row.cells.values():
                yield _rail(rail_mark(each.record, each.verdict), name, each.environment.name)
        else:
            yield _rail(project_mark(row), name)
    yield Part("rail-running", "shell/_running.html", (("running", running_jobs(found)),))
    yield Part("rail-waiting", "shell/_waiting.html", (("waiting", waiting_requests(found)),))


def _rail(mark: Mark, *names: str) -> Part:
    key = addresses.element_id("rail", *names)
    return Part(key, "shell/_rail_mark.html", (("id", key), ("mark", mark)))
