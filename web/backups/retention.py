"""Which backups may go: a pure function of what there is, the rules and the time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from web.config import Keep

State = Literal["unverified", "verified", "failed verification"]


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup that exists."""

    id: UUID
    created_at: datetime
    state: State


def expired(backups: Sequence[Kept], keep: Keep, *, in_use: Collection[UUID]) -> tuple[UUID, ...]:
    """Return the backups of one environment that no rule keeps, oldest first.

    Kept are: the newest one and the newest verified one; the newest `last`; the newest of each of the newest
    `daily` days and `monthly` months (UTC) that have one; what is in use. Backups that failed verification
    count for no rule and go once there is a newer one that did not. Without any rule everything is kept.
    """
    if keep.last is None and keep.daily is None and keep.monthly is None:
        return ()
    newest_first = sorted(backups, key=lambda backup: (backup.created_at, backup.id), reverse=True)
    sound = [backup for backup in newest_first if backup.state != "failed verification"]
    kept = set(in_use)
    kept |= {backup.id for backup in sound[: keep.last or 0]}
    kept |= _newest_of(sound, lambda at: (at.year, at.month, at.day), keep.daily or 0)
    kept |= _newest_of(sound, lambda at: (at.year, at.month), keep.monthly or 0)
    # Whatever the rules say: neither the newest one nor the newest proven one is thrown away.
    kept |= {backup.id for backup in sound[:1]}
    kept |= {backup.id for backup in [one for one in sound if one.state == "verified"][:1]}
    for backup in newest_first:
        if backup.state == "failed verification" and (not sound or backup.created_at > sound[0].created_at):
            kept.add(backup.id)
    return tuple(backup.id for backup in reversed(newest_first) if backup.id not in kept)


def _newest_of(
    newest_first: Sequence[Kept], period: Callable[[datetime], tuple[int, ...]], periods: int
) -> set[UUID]:
    found: dict[tuple[int, ...], UUID] = {}
    for backup in newest_first:
        found.setdefault(period(backup.created_at.astimezone(UTC)), backup.id)
    return set(list(found.values())[:periods])
