"""`/projects/{p}/comparison`: what came of holding two sources side by side, which a job of kind `compare` does."""

from __future__ import annotations

from fastapi import APIRouter

from web.comparison.stored_comparisons import read_comparison, require_kept, sources_of
from web.dashboard import InProject, Store, Text, in_project
from web.errors import NotFound

router = APIRouter()


@router.get("/projects/{project}/comparison", dependencies=[in_project("view")])
async def show_comparison(store: Store, project: InProject, a: Text, b: Text) -> dict[str, object]:
    """What b (actual) had differently from a (expected) when they were last compared."""
    sources = sources_of(project, a, b)
    await require_kept(store, project, *sources)
    found = await read_comparison(store, project.name, *(each.text for each in sources))
    if found is None:
        raise NotFound(
            f"{sources[0].text} and {sources[1].text} were never compared.",
            hint="Start a job of kind compare with these two as its parameters, and wait for its end.",
        )
    return found.to_json()
