"""Jobs as in tests/operations."""

from __future__ import annotations

from tests.operations.conftest import copies, site

__all__ = ["copies", "site"]
