"""How often a worker shows that it lives, and after how long without a sign it counts as dead."""

from __future__ import annotations

from typing import Final

#: Seconds between two signs of life.
HEARTBEAT: Final = 5.0
#: Seconds without one; three are missing then.
DEAD_AFTER: Final = 15
