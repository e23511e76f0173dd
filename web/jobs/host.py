"""Which host this is, as far as process ids are concerned."""

from __future__ import annotations

import socket
from functools import cache
from pathlib import Path


@cache
def this_host() -> str:
    """Name what shares process ids with us: host name, boot and pid namespace."""
    boot, space = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    parts = [socket.gethostname()]
    if boot.exists() and space.exists():
        parts += [boot.read_text().strip()[:8], str(space.stat().st_ino)]
    return "/".join(parts)
