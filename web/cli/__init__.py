"""`cleanstart`: the commands, the two ways to reach the API, and the long-running processes.

Commands speak the API over HTTP or in their own process, and decide nothing themselves.
What they ask for is answered in `web.api`.
"""

from __future__ import annotations

import gc


def main() -> int:
    """Run the program with the process's arguments and return its exit code."""
    # Importing makes hundreds of thousands of objects and no garbage; looking for it takes an eighth of every start.
    gc.set_threshold(50_000, 20, 100)
    from web.cli.program import run

    return run()
