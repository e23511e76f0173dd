"""Fixtures of the guided clean start: the site that operations are tested on."""

from __future__ import annotations

