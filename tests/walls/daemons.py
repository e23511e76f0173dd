"""Looks for what code behind a wall left running."""

from __future__ import annotations

import time

import psutil


def until_gone(marker: str) -> bool:
    """Whether every `sleep MARKER` is gone, within ten seconds."""
    deadline = time.monotonic() + 10
    while any(process.info["cmdline"] == ["sleep", marker] for process in psutil.process_iter(["cmdline"])):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
