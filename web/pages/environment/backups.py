"""The Backups tab: what there is, and whether a restore has proven it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from web import words
from web.access.permissions import Principal
from web.answers.environment import StoredBackup, View, read_backups
from web.answers.gate import backup_needed
from web.backups.catalog import dump_of
from web.dashboard import Dashboard
from web.pages.environment.head import actions_at
from web.pages.presenting import backup_mark
from web.pages.shell import now
from web.pages.views.environment.backups import BackupRow, BackupsTab
from web.pages.views.marks import Action, Mark


async def backups(store: AsyncConnection, board: Dashboard, who: Principal, seen: View) -> BackupsTab:
    """The backups, newest first."""
    environment, record = seen.environment, seen.record
    needed = backup_needed(environment) or environment.reset is not None
    stored = await read_backups(store, record.environment_id) if record else ()
    limit = environment.backup.max_age
    mark = backup_mark(environment, record, needed, now())
    return BackupsTab(
        rows=tuple(
            _backup(
                each,
                actions_at(board.kinds, "one backup", who, seen, backup=each.id),
                dump_of(board.configuration.backups.location, environment, each.id),
            )
            for each in stored
        ),
        rule=mark
        if mark and mark.status == "warn"
        else Mark("ok", f"A verified backup within {words.duration(limit.total_seconds())}")
        if needed
        else Mark("queued", "No backup is required here"),
        place=f"{board.configuration.backups.location}, not encrypted",
        # Other words than the head's: where both are closed, each has its reason under an id of its own.
        actions=actions_at(board.kinds, "backups", who, seen),
        empty_because="A backup is made by pg_dump and counts as verified once it has been restored and compared.",
    )


def _why_not(verification: Mapping[str, Any]) -> str:
    """What was found wrong with a backup, and when."""
    problems = " ".join(str(each) for each in (verification.get("problems") or ())[:3])
    said = problems or "The restored copy was not equal."
    at = verification.get("finished_at")
    return f"{said} Found at {words.written(str(at))}." if at else said


def _backup(each: StoredBackup, actions: tuple[Action, ...], file: str) -> BackupRow:
    marks: Mapping[str, Mark] = {
        "verified": Mark("ok", "Verified"),
        "unverified": Mark("unknown", "Not verified"),
        "failed verification": Mark("failed", "Verification failed"),
    }
    manifest = each.manifest
    tables = manifest.get("tables") or []
    rows = sum(table.get("rows", 0) for table in tables)
    proof = f"{words.plural(len(tables), 'table')}, {rows:,} rows"
    if each.state == "verified":
        proof += " restored and equal"
    elif each.state == "failed verification":
        proof = _why_not(each.verification or {})
    return BackupRow(
        id=each.id,
        taken_at=each.created_at,
        mark=marks.get(each.state, Mark("unknown", each.state)),
        proof=proof,
        bytes=each.size,
        digest=str((manifest.get("dump") or {}).get("sha256", "")),
        revisions=tuple(manifest.get("revisions") or ()),
        job=each.job_id,
        actions=actions,
        file=file,
    )
