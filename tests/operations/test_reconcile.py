"""What every kind says of a job whose worker died before it had begun anything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from tests.operations.conftest import Site
from web.jobs.job import Job
from web.jobs.kind import AnyKind
from web.jobs.work import Evidence
from web.operations import KINDS


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_nothing_was_done_and_there_is_a_next_step(site: Site, kind: AnyKind) -> None:
    clinic = site.configuration.project("clinic")
    job: Job[Any] = Job(1, kind.name, clinic, (site.dev, 1), kind.parameters(), "ada", datetime.now(UTC))
    evidence: Evidence[Any] = Evidence(
        job, "worker died", (), site.configuration, site.resources, site.store, None, cast(Any, None)
    )
    found = await kind.reconcile(evidence)
    assert found.state == "not done"
    assert "again" in found.next_step
