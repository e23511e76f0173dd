"""Real schemas: no drift at head after replay, after dump and restore, and after a repair of ten random changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import fresh_database
from tests.schema.real import CHANGES, REAL, Real, examine
from web.comparison.side_by_side import Comparison
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchServers

#: PostgreSQL cannot move a column: one that was dropped and made again stands last.
ORDER = ("table", "column order")


@pytest.mark.parametrize("one", [each for each in REAL if not each.slow], ids=lambda one: one.name)
async def test_no_drift_at_head(
    one: Real,
    server: EmbeddedServer,
    scratch: ScratchServers,
    programs: tuple[Programs, ...],
    tmp_path: Path,
) -> None:
    with fresh_database(server) as url, fresh_database(server) as restored:
        found = await examine(
            one, tmp_path, url, restored, scratch, programs, with_models=one.environment == "optuna"
        )
    assert len(found.schema.tables) > 10
    assert found.after_replay == ()
    assert found.after_restore == ()
    assert len(found.changes) == CHANGES
    assert found.changed.differences
    assert found.proof.holds, "\n".join(
        [str(found.proof.refusal), *found.changes, "--", *(each.sql for each in found.proof.statements)]
    )
    assert {(each.kind, each.attribute) for each in found.after_repair} <= {ORDER}, found.changes
    assert isinstance(found.models, Comparison) == (one.environment == "optuna")
    dropped = [each for each in found.changes if " DROP COLUMN " in each]
    assert len(found.after_repair) <= len(dropped)
