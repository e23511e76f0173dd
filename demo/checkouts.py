"""The clinic's builds: what CI would have produced, where they run, and a checkout to register each from."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

CLINIC = Path(__file__).with_name("clinic")


@dataclass(frozen=True, slots=True)
class DemoBuild:
    """A build of the clinic. `without` are the newest revisions, which its checkout does not have yet."""

    number: int
    commit: str
    branch: str
    title: str
    author: str
    created_at: datetime
    head: str
    without: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DemoDeployment:
    """The build that an environment runs."""

    environment: str
    build: int
    deployed_at: datetime


BUILDS = (
    DemoBuild(
        46,
        "5be0c1f7a92d4e83b6170f4c2d95ae1836d07b42",
        "main",
        "Merge tenants and reminders",
        "Marek Novák",
        datetime(2026, 11, 2, 9, 4, tzinfo=UTC),
        "d20c74b85e13",
        ("7be5a90f13d6", "f4128cd06b97", "92ad3e6f7b10", "1c7f5e8d2a46"),
    ),
    DemoBuild(
        47,
        "c30f7be2914d5a6680e1fd2b47c9a05e8d13f6b7",
        "main",
        "Users know their tenant",
        "Joy Okafor",
        datetime(2026, 11, 9, 15, 20, tzinfo=UTC),
        "7be5a90f13d6",
        ("f4128cd06b97", "92ad3e6f7b10", "1c7f5e8d2a46"),
    ),
    DemoBuild(
        48,
        "9d41f0e6c2b8753a1f40d97e5b8c6a02e3f714d5",
        "main",
        "Tenant-based sign-in",
        "Joy Okafor",
        datetime(2026, 11, 20, 18, 7, tzinfo=UTC),
        "1c7f5e8d2a46",
        (),
    ),
)

#: Staging got build #48, and its migrations were stopped half way: the new code runs on the old schema.
DEPLOYMENTS = (
    DemoDeployment("production", 46, datetime(2026, 11, 3, 6, 30, tzinfo=UTC)),
    DemoDeployment("production", 47, datetime(2026, 11, 10, 6, 31, tzinfo=UTC)),
    DemoDeployment("staging", 48, datetime(2026, 11, 20, 18, 15, tzinfo=UTC)),
    DemoDeployment("dev", 48, datetime(2026, 11, 20, 18, 9, tzinfo=UTC)),
)


def check_out(number: int, folder: Path, *, source: Path = CLINIC) -> DemoBuild:
    """Write the source of a build into `folder`, replacing what is there, and return the build.

    The checkout is that of the newest build without the revisions that came later. Raises KeyError for
    another number.
    """
    build = {build.number: build for build in BUILDS}[number]
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
    versions = folder / "backend" / "alembic" / "versions"
    for revision in build.without:
        (later,) = versions.glob(f"*{revision}*.py")
        later.unlink()
    return build
