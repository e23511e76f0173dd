"""HTML: one module per page or part of a page, its values in `views`, its templates in `templates/`.

Parse, ask, render; words and marks are made here, decisions are not.
JSON is in `web.api`; words for times, sizes and counts in `web.words`.
"""

from __future__ import annotations

from fastapi import APIRouter

from web.pages import (
    adoptions,
    approvals,
    audit,
    baselines,
    builds,
    change_sets,
    clean_start,
    clean_start_report,
    comparisons,
    cut_overs,
    doubts,
    health,
    ignore_rules,
    jobs,
    merges,
    overview,
    projects,
    proofs,
    question,
    settings,
    sign_in,
    starting,
    surveys,
)
from web.pages.environment import routes as environment

router = APIRouter()
for module in (
    overview,
    question,
    projects,
    # Before the environment's own pages: `…/jobs/new/{kind}` is a dialog.
    starting,
    environment,
    doubts,
    comparisons,
    ignore_rules,
    builds,
    jobs,
    approvals,
    adoptions,
    surveys,
    cut_overs,
    baselines,
    merges,
    change_sets,
    proofs,
    clean_start,
    clean_start_report,
    audit,
    settings,
    sign_in,
    health,
):
    router.include_router(module.router)
