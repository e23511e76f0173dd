"""Scratch databases on the test servers themselves."""

from __future__ import annotations

from tests.shared_scratch import scratch

__all__ = ["scratch"]
