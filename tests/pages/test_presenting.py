"""Small values that all pages share."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.answers.test_gate import NOW, PRODUCTION, RECORD
from web.observation.records import LastBackup
from web.pages.presenting import backup_mark

FRESH, OLD = NOW - timedelta(minutes=4), NOW - timedelta(days=3)


@pytest.mark.parametrize(
    ("backup", "needed", "status", "said"),
    [
        (LastBackup(FRESH, "verified", FRESH), False, "ok", "backup 4 min ago, verified"),
        (LastBackup(FRESH, "unverified", None), False, "unknown", "backup 4 min ago, not verified"),
        (LastBackup(FRESH, "unverified", None), True, "warn", "backup 4 min ago, not verified"),
        (
            LastBackup(FRESH, "unverified", NOW - timedelta(hours=3)),
            True,
            "unknown",
            "backup 4 min ago, not verified; the one of 3 h ago is",
        ),
        (
            LastBackup(FRESH, "failed verification", None),
            False,
            "failed",
            "backup 4 min ago, verification failed",
        ),
        (LastBackup(OLD, "verified", OLD), True, "warn", "backup 3 d ago, overdue"),
    ],
)
def test_green_is_for_a_proven_backup_only(backup: LastBackup, needed: bool, status: str, said: str) -> None:
    mark = backup_mark(PRODUCTION, replace(RECORD, backup=backup), needed, NOW)
    assert mark is not None
    assert (mark.status, mark.words) == (status, said)
