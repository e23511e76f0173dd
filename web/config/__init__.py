"""`cleanstart.toml` as frozen values; a bad file fails with its line and key.

Settings of each migration tool are in `tool`, secrets are references that are read late.
Nothing here connects to anything.
"""

from __future__ import annotations

from web.config.reading import is_loopback, load
from web.config.tool import AlembicSettings, Prelude, ToolSettings
from web.config.values import (
    BackupPolicy,
    Backups,
    CodeLimits,
    Configuration,
    Environment,
    GitSource,
    Keep,
    Network,
    Project,
    ResetPolicy,
    Secret,
    SmokePolicy,
    Tier,
)

__all__ = [
    "AlembicSettings",
    "BackupPolicy",
    "Backups",
    "CodeLimits",
    "Configuration",
    "Environment",
    "GitSource",
    "Keep",
    "Network",
    "Prelude",
    "Project",
    "ResetPolicy",
    "Secret",
    "SmokePolicy",
    "Tier",
    "ToolSettings",
    "is_loopback",
    "load",
]
