"""Named points at which a test lets a worker die (SAFETY.md, J2); nothing without CLEANSTART_FAILPOINT.

Names are `before-intent`, `after-intent` (that is before the act), `before-receipt` (after the act),
`after-receipt`, `before-status` and `after-status`; intents and receipts also take `:STEP`, as in
`before-receipt:restore`. A kind may have points of its own inside an act.
"""

from __future__ import annotations

import os
import signal


def failpoint(name: str, step: str | None = None) -> None:
    """Die here with SIGKILL if this is the point that CLEANSTART_FAILPOINT names."""
    wanted = os.environ.get("CLEANSTART_FAILPOINT")
    if wanted and wanted in {name, f"{name}:{step}"}:
        os.kill(os.getpid(), signal.SIGKILL)
