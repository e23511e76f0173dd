"""Schemas of 100, 1,000 and 5,000 tables read, compared and polled, against the programs that do such work.

The floor executes the very SQL of a snapshot through psycopg on a fresh connection, results received and not
decoded. Each contender runs in a process of its own each time, which says how long it took without Python's start
(connecting included) and how much memory it had. schemainspect and migra come from PyPI into an environment of
their own, below .cache; where they cannot be installed, that is said.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

from bench.contest import Contender, contest, say
from bench.observation import ddl
from bench.servers import benching

#: Tables and rounds.
SIZES = ((100, 3), (1000, 3), (5000, 3))
OURS = (
    "bare",
    "snapshot",
    "snapshot_and_difference",
    "snapshot_and_difference_on_two",
    "differ",
    "fingerprinting",
    "storing",
    "token",
    "refreshed",
)
PEERS = ("pg_dump", "inspector", "reflection", "compare_metadata")
FOREIGN = ("schemainspect", "migra")
FOREIGN_REQUIREMENTS = ("migra", "schemainspect", "psycopg2-binary", "sqlalchemy<2.1", "setuptools<81")
ROOT = Path(__file__).parent.parent


async def main() -> None:
    """Measure and print."""
    foreign = await asyncio.to_thread(foreign_python)
    async with benching() as bench:
        for tables, rounds in SIZES:
            url = bench.database(f"tables_{tables}", *ddl(tables), "ANALYZE")
            say(f"  {tables} tables")
            memory: dict[str, list[float]] = {}
            contenders = [contender(name, sys.executable, url, memory) for name in (*OURS, *PEERS)]
            if foreign is not None:
                contenders += [contender(name, str(foreign), url, memory) for name in FOREIGN]
            await contest(contenders, rounds=rounds, warm=1)
            sizes = ", ".join(f"{name} {median(each):.0f}" for name, each in memory.items())
            say(f"  resident MB: {sizes}")


def contender(name: str, python: str, url: str, memory: dict[str, list[float]]) -> Contender:
    """A contender in a process of its own."""

    async def run() -> float:
        process = await asyncio.create_subprocess_exec(
            python, "-m", "bench.schema_reader", name, url, cwd=ROOT, stdout=subprocess.PIPE
        )
        written, _ = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"{name} ended with {process.returncode}")
        found = json.loads(written.splitlines()[-1])
        memory.setdefault(name, []).append(found["mb"])
        return float(found["seconds"])

    return Contender(name, run)


def foreign_python() -> Path | None:
    """The interpreter that has schemainspect and migra; they want libraries of their own time."""
    folder = ROOT / ".cache" / "bench-peers"
    python = folder / "bin" / "python"
    done = folder / ".installed"
    if not done.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            subprocess.run(
                [
                    str(python),
                    "-m",
                    "pip",
                    "--quiet",
                    "--disable-pip-version-check",
                    "install",
                    *FOREIGN_REQUIREMENTS,
                ],
                check=True,
                capture_output=True,
            )
        except (OSError, subprocess.CalledProcessError):
            say(f"  {' and '.join(FOREIGN)} could not be installed from PyPI, and are left out")
            return None
        done.touch()
    return python
