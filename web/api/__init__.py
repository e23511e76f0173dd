"""The JSON API, version 1: the nouns of the pages, a module each; errors are problem details."""

from __future__ import annotations

from fastapi import APIRouter

from web.api import adoptions, builds, comparisons, doubts, ignore_rules, jobs, people, projects

router = APIRouter(prefix="/api/v1")
for module in (projects, comparisons, doubts, ignore_rules, builds, jobs, adoptions, people):
    router.include_router(module.router)
