"""`python -m web.cli`: the same program without an installed script."""

from __future__ import annotations

import sys

from web.cli import main

if __name__ == "__main__":
    sys.exit(main())
