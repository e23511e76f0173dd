"""What cleanstart.toml says, as frozen values. Reading the file is left to `web.config.reading`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from web.config.tool import ToolSettings
from web.errors import ConfigurationInvalid, NotFound, SecretUnavailable

Tier = Literal["development", "staging", "production"]
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Secret:
    """A reference to a secret, `env:NAME` or `file:PATH`; the secret itself is never kept here."""

    reference: str
    #: Where the reference is written, so that an unreadable secret names its line: (file, line, key).
    place: tuple[str, int | None, str] | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return self.reference

    def read(self) -> str:
        """Read the secret as it is now; `SecretUnavailable` where there is none."""
        scheme, _, name = self.reference.partition(":")
        if scheme == "env":
            value = os.environ.get(name, "")
            if not value.strip():
                raise self._unavailable(f"the environment variable {name} is not set")
            return value.strip()
        try:
            value = Path(name).read_text(encoding="utf-8")
        except OSError as error:
            raise self._unavailable(f"the file {name} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:
            # The error would carry the file's bytes, and with them the secret.
            raise self._unavailable(f"the file {name} is not UTF-8 text") from None
        if not value.strip():
            raise self._unavailable(f"the file {name} is empty")
        return value.strip()

    def unusable(self, reason: str, hint: str = "") -> ConfigurationInvalid:
        """The error for what can be read and is not what it should be. The reason must not repeat it."""
        error = ConfigurationInvalid(*self._place, f"{self.reference}: {reason}")
        error.hint = hint
        return error

    @property
    def _place(self) -> tuple[str, int | None, str]:
        return self.place or (self.reference, None, "")

    def _unavailable(self, reason: str) -> SecretUnavailable:
        return SecretUnavailable(*self._place, reason)


@dataclass(frozen=True, slots=True)
class ResetPolicy:
    """How an environment may be reset. An environment without one has no reset at all."""

    #: SQL file that runs after the migrations.
    seed: Path | None = None
    #: The project's own reset script (SQL), run instead of ours.
    script: Path | None = None
    #: Keep a spare database ready to be swapped in.
    spare: bool = False


@dataclass(frozen=True, slots=True)
class BackupPolicy:
    """When backups are made, and how old one may be when something destructive leans on it."""

    #: Cron expression; None: only by hand.
    schedule: str | None = None
    #: Verify every backup right after it was made.
    verify: bool = False
    #: A reset needs a verified backup younger than this.
    max_age: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class SmokePolicy:
    """What has to answer after a deployment."""

    url: str
    #: The status that it has to answer with.
    expect: int = 200


#: How long a request for approval holds, unless configured.
APPROVALS_LAST = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class CleanStartPolicy:
    """How an environment takes part in a clean start."""

    #: It is gone through without a backup of its own, and the report says so.
    without_backup: bool = False


@dataclass(frozen=True, slots=True)
class Environment:
    """One PostgreSQL database of a project, with its tier and its policies."""

    project: str
    name: str
    url: Secret
    tier: Tier
    #: How many others have to consent to what changes it.
    approvals: int = 0
    #: How long a request for their consent holds.
    approvals_last: timedelta = APPROVALS_LAST
    #: Which heads of the history are meant, its own or the project's.
    follow: tuple[str, ...] = ()
    reset: ResetPolicy | None = None
    backup: BackupPolicy = field(default_factory=BackupPolicy)
    smoke: SmokePolicy | None = None
    clean_start: CleanStartPolicy = CleanStartPolicy()
    #: The role that the application runs as, where another one migrates; None: it is not known.
    application_role: str | None = None

    @property
    def label(self) -> str:
        """`project/environment`, as people write it."""
        return f"{self.project}/{self.name}"


@dataclass(frozen=True, slots=True)
class GitSource:
    """A source that is fetched from a git repository."""

    url: str
    branch: str
    #: Command that makes the project's environment in a fresh work tree.
    install: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CodeLimits:
    """What one run of a project's code may use up."""

    #: Bytes that each of its processes may write to.
    memory: int = 4 << 30
    #: Processes and threads, counted over all that run as the same user.
    processes: int = 1024


@dataclass(frozen=True, slots=True)
class CleanStart:
    """What a project lets a clean start do."""

    #: Change sets may be written into the source, in a git repository as a commit on a branch.
    write: bool = False


@dataclass(frozen=True, slots=True)
class Project:
    """An application whose schema is looked after."""

    name: str
    title: str
    source: Path | GitSource
    tool: ToolSettings
    #: What a reset leaves alone, shown as "what stays".
    keeps: tuple[str, ...] = ()
    #: Further variables for the project's code; nothing else of ours is handed to it.
    env: Mapping[str, str | Secret] = field(default_factory=dict)
    #: Files and folders outside of source and interpreter that the project's code may read.
    readable: tuple[Path, ...] = ()
    #: Whether its code may run in scratch where there is no wall around it.
    without_wall: bool = False
    #: Which heads of the history are meant (`heads`, `BRANCH@head`); empty: there is to be one.
    follow: tuple[str, ...] = ()
    limits: CodeLimits = CodeLimits()
    clean_start: CleanStart = CleanStart()
    #: Ours, and secrets of anybody: not there for the project's code, even where its source encloses them.
    hidden: tuple[Path, ...] = ()
    #: In the order of the file.
    environments: Mapping[str, Environment] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Keep:
    """How many backups are kept; None: no limit of that sort."""

    last: int | None = None
    daily: int | None = None
    monthly: int | None = None


@dataclass(frozen=True, slots=True)
class Backups:
    """Where backups go."""

    #: An absolute folder.
    location: str
    keep: Keep = Keep()
    #: age recipients; empty: backups are not encrypted.
    recipients: tuple[str, ...] = ()
    identity: Secret | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that cleanstart.toml says, with defaults filled in and paths made absolute."""

    file: Path | None
    data_directory: Path
    backups: Backups
    public_url: str | None = None
    #: Proxies in front, whose word on the client's address is taken.
    trusted_proxies: tuple[Network, ...] = ()
    #: None: embedded PostgreSQL under the data directory.
    store_url: Secret | None = None
    #: The role that may upgrade the store; None: `store_url` does.
    store_owner_url: Secret | None = None
    #: Per major version, where scratch databases are made.
    scratch: Mapping[int, Secret | Literal["embedded"]] = field(default_factory=dict)
    #: Further folders with PostgreSQL programs.
    programs: tuple[Path, ...] = ()
    projects: Mapping[str, Project] = field(default_factory=dict)
    #: The line of every key that the file has (`projects.clinic.title`), to show where a setting comes from.
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)

    def project(self, name: str) -> Project:
        """The project of this name, or `NotFound`."""
        try:
            return self.projects[name]
        except KeyError:
            raise NotFound(f"There is no project “{name}”.") from None

    def environment(self, project: str, name: str) -> Environment:
        """The environment of this name, or `NotFound`."""
        try:
            return self.project(project).environments[name]
        except KeyError:
            raise NotFound(f"There is no environment “{name}” in project “{project}”.") from None
