"""The pages: parse, ask, render. One module per noun of the route table; what templates need is in `views`."""

from __future__ import annotations

from fastapi import APIRouter

from web.pages import (
    adoptions,
    audit,
    builds,
    comparisons,
    doubts,
    environments,
    health,
    ignore_rules,
    jobs,
    overview,
    projects,
    question,
    settings,
    sign_in,
    starting,
)

router = APIRouter()
for module in (
    overview,
    question,
    projects,
    # Before the environment's own pages: `…/jobs/new/{kind}` is a dialog.
    starting,
    environments,
    doubts,
    comparisons,
    ignore_rules,
    builds,
    jobs,
    adoptions,
    audit,
    settings,
    sign_in,
    health,
):
    router.include_router(module.router)
