"""The same nouns as the pages, as JSON under `/api/v1`; one module for each.

Parse, ask, answer: what is answered comes from the rooms below.
HTML is in `web.pages`; the command line, which speaks this API, in `web.cli`.
"""

from __future__ import annotations

from fastapi import APIRouter

from web.api import (
    adoptions,
    approvals,
    baselines,
    builds,
    change_sets,
    clean_start,
    comparisons,
    cut_overs,
    doubts,
    ignore_rules,
    jobs,
    people,
    projects,
    proofs,
    surveys,
)

router = APIRouter(prefix="/api/v1")
for module in (
    projects,
    comparisons,
    doubts,
    ignore_rules,
    builds,
    jobs,
    approvals,
    adoptions,
    surveys,
    cut_overs,
    baselines,
    change_sets,
    proofs,
    clean_start,
    people,
):
    router.include_router(module.router)
