"""Runs the benches that are named, else all, and prints what they measured with the versions of everything."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import psutil

from bench.contest import say
from bench.servers import programs

#: Modules with a docstring and a coroutine function `main`.
NAMES = ("overview", "observation", "schema", "streams", "backup", "growth")
#: These write pages of docs/, and run only when they are named.
PAGES = ("real_schemas", "drift_matrix")
LIBRARIES = ("fastapi", "uvicorn", "jinja2", "sqlalchemy", "psycopg", "alembic")


def main() -> None:
    """Run them one after the other."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join((*NAMES, *PAGES))}; none: all that measure"
    )
    asked = parser.parse_args().names or NAMES
    if unknown := [name for name in asked if name not in (*NAMES, *PAGES)]:
        parser.error(f"there is no bench {', '.join(unknown)}; there are {', '.join((*NAMES, *PAGES))}")
    say(machine())
    for name in asked:
        module = import_module(f"bench.{name}")
        say(f"\n{name}: {(module.__doc__ or '').strip()}\n")
        asyncio.run(module.main())


def machine() -> str:
    """What it runs on, and how busy that is."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = psutil.virtual_memory().total / 2**30
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return "\n".join(
        (
            f"{os.cpu_count()} × {cpu}, {memory:.0f} GiB; load average {load} before this",
            f"Python {platform.python_version()}, PostgreSQL {programs()[0].version}, Linux {platform.release()}",
            ", ".join(f"{library} {version(library)}" for library in LIBRARIES),
        )
    )


if __name__ == "__main__":
    main()
