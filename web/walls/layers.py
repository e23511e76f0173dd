"""Which walls are to be had on this machine, and a program's command line behind the best of them."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from web.walls import bubblewrap
from web.walls.bubblewrap import LAUNCHER
from web.walls.reach import SYSTEM, Reach, launcher_places, outermost

_PR_SET_DUMPABLE = 4
NO_WALL = "none"
#: From this ABI on Landlock also keeps a program from sending signals to others than its own processes.
_SIGNALS = 6


@dataclass(frozen=True, slots=True)
class Layers:
    """The walls of this machine. Nothing here is believed: each was tried."""

    kind: Literal["namespaces", "filters", "none"]
    #: Of the namespaces.
    program: Path | None = None
    #: Of Landlock; 0: the kernel has none.
    landlock: int = 0
    #: Why there is nothing better.
    reason: str = ""

    @property
    def words(self) -> str:
        """What holds, for `doctor` and Settings."""
        match self.kind:
            case "namespaces":
                return "namespaces of their own (bubblewrap)"
            case "filters":
                gap = (
                    ""
                    if self.landlock >= _SIGNALS
                    else "; signals to processes of the same user are not stopped"
                )
                return f"filters (Landlock ABI {self.landlock}, seccomp), without namespaces{gap}"
            case "none":
                return NO_WALL


@cache
def find_layers() -> Layers:
    """Try what there is, the best first. Takes a tenth of a second; call it in a thread the first time."""
    if sys.platform != "linux":
        return Layers("none", reason=f"There are no walls for {sys.platform}.")
    reasons = []
    for program in bubblewrap.find_programs():
        layers = Layers("namespaces", program)
        if (refusal := _try(layers)) is None:
            return layers
        reasons.append(f"{program}: {refusal}")
    namespaces = " ".join(reasons) or "There is no bubblewrap 0.8 or later."
    filters = find_filters()
    return replace(filters, reason=" ".join(filter(None, [namespaces, filters.reason])))


@cache
def find_filters() -> Layers:
    """Try the wall of filters alone."""
    if sys.platform != "linux":
        return Layers("none", reason=f"There are no walls for {sys.platform}.")
    import landlockpy

    try:
        layers = Layers("filters", landlock=landlockpy.abi_version())
    except landlockpy.LandlockError as error:
        return Layers("none", reason=f"Landlock is not to be had: {error}.")
    refusal = _try(layers)
    return layers if refusal is None else Layers("none", reason=f"Filters: {refusal}")


def _try(layers: Layers) -> str | None:
    """Why a program cannot be run behind this wall; None: it can."""
    argv = Wall(layers, Reach()).enclose(["/bin/sh", "-c", "exit 7"])
    try:
        # An interpreter of ours starts inside, so this also tells whether it can be reached there.
        tried = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30, env={}, cwd="/")
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None if tried.returncode == 7 else (tried.stderr.strip().splitlines() or ["no message"])[-1]


@dataclass(frozen=True, slots=True)
class Wall:
    """What a program is put behind: which wall, and what it reaches from there."""

    layers: Layers
    reach: Reach

    def enclose(self, argv: Sequence[str], *, cwd: Path | None = None) -> tuple[str, ...]:
        """The command line that runs a program behind it, with its limits and as its account.

        HOME and TMPDIR are its own, empty and gone with it, where there is a wall at all. Whatever it starts ends
        with it, and with the thread that starts it.
        """
        layers, reach = self.layers, self.reach
        spec: dict[str, object] = {"sealed": True, "limits": _limits(reach)}
        if reach.account is not None:
            spec |= {"uid": reach.account.uid, "gid": reach.account.gid}
        if cwd is not None:
            # As its own user: root inside has no right to pass folders of others.
            spec["cwd"] = str(cwd)
        match layers.kind:
            case "namespaces":
                assert layers.program is not None
                wrapped = bubblewrap.wrap(layers.program, launch(argv, spec), reach)
                return launch(wrapped, {"parent": os.getpid(), "death_signal": signal.SIGKILL})
            case "filters":
                spec |= {"parent": os.getpid(), "death_signal": signal.SIGTERM, "confine": _filters(reach)}
                return launch(argv, spec)
            case "none":
                spec |= {"parent": os.getpid(), "death_signal": signal.SIGKILL, "adopt": True}
                return launch(argv, spec)


def launch(argv: Sequence[str], spec: dict[str, object]) -> tuple[str, ...]:
    """The command line by which the launcher becomes a program; SPEC as `launch.py` says."""
    return (
        sys.executable,
        "-I",
        *(() if "confine" in spec else ("-S",)),
        str(LAUNCHER),
        json.dumps(spec),
        *argv,
    )


def hide_process() -> None:
    """Keep other processes of our user from this one's memory, environment and open files, where the system can.

    It stops no signals, and ends where this process becomes another program.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _limits(reach: Reach) -> dict[str, int]:
    limits = {"RLIMIT_CORE": 0}
    if reach.limits.memory is not None:
        limits["RLIMIT_DATA"] = reach.limits.memory
    if reach.limits.processes is not None:
        limits["RLIMIT_NPROC"] = reach.limits.processes
    return limits


def _filters(reach: Reach) -> dict[str, object]:
    reads = [*map(Path, SYSTEM), *map(Path, reach.settings), *reach.reads, *launcher_places()]
    # Landlock only ever adds, so what is hidden is left out by naming everything around it.
    shown = [shown for path in outermost(reads) for shown in _around(path, reach.hidden)]
    return {
        "reads": [str(path) for path in shown],
        "writes": [str(path) for path in reach.writes],
        "sockets": [str(path) for path in reach.sockets],
        "network": reach.network,
    }


def _around(path: Path, hidden: Sequence[Path]) -> list[Path]:
    if path in hidden:
        return []
    if not any(each.is_relative_to(path) for each in hidden):
        return [path]
    return [shown for entry in path.iterdir() for shown in _around(entry, hidden)]
