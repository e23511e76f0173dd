"""The command line, `cleanstart …`: requests to the API, over HTTP or in its own process (docs/decisions/0002)."""

from __future__ import annotations


def main() -> int:
    """Run the program with the process's arguments and return its exit code."""
    from web.cli.program import run

    return run()
