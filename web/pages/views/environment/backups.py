"""The Backups tab."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.pages.views.marks import Action, Mark


@dataclass(frozen=True, slots=True)
class BackupRow:
    """A backup and whether a restore has proven it."""

    id: str
    taken_at: datetime
    mark: Mark
    #: `14 tables, 48,210 rows equal` or why the verification failed.
    proof: str
    bytes: int
    digest: str
    revisions: tuple[str, ...] = ()
    seconds: float | None = None
    #: `asked by Ana Ruiz`, `schedule`, `before job 987`
    reason: str = ""
    encrypted: bool = False
    job: int | None = None
    actions: tuple[Action, ...] = ()
    #: The dump, for `pg_restore`.
    file: str = ""


@dataclass(frozen=True, slots=True)
class BackupsTab:
    """The environment's backups, newest first."""

    rows: tuple[BackupRow, ...]
    #: Whether the policy's rule is met.
    rule: Mark
    #: Where backups go and whether they are encrypted.
    place: str
    actions: tuple[Action, ...] = ()
    empty_because: str = ""
