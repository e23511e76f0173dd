"""The configuration as resolved, without secrets; workers and tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.config import Tier
from web.pages.views.marks import Mark


@dataclass(frozen=True, slots=True)
class Setting:
    """One key as it is in force. A secret is shown by its reference only."""

    key: str
    value: str
    #: `cleanstart.toml:12`, `default`
    origin: str = ""
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class SettingGroup:
    """One table of the configuration."""

    name: str
    settings: tuple[Setting, ...]
    tier: Tier | None = None


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker and its last sign of life."""

    name: str
    host: str
    pid: int
    version: str
    mark: Mark
    started_at: datetime
    heartbeat_at: datetime
    #: What is around projects' code on its machine.
    wall: Mark
    jobs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenRow:
    """An API token; only its first characters are known."""

    name: str
    prefix: str
    role: str
    project: str
    created_by: str
    created_at: datetime
    mark: Mark
    last_used_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProgramRow:
    """A set of PostgreSQL programs that was found."""

    version: str
    directory: str
    source: str
    server: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole page."""

    file: str
    version: str
    groups: tuple[SettingGroup, ...]
    workers: tuple[WorkerRow, ...]
    tokens: tuple[TokenRow, ...]
    programs: tuple[ProgramRow, ...] = ()
