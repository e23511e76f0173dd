"""How much a change matters. What depends on the kind of object is said by its class (`model.py`), the rest here."""

from __future__ import annotations

from typing import Literal

Severity = Literal["structure", "behaviour", "access", "cosmetic"]

#: Attributes whose severity does not depend on the kind they are found in.
ATTRIBUTE_SEVERITY: dict[str, Severity] = {
    "owner": "access",
    "grants": "access",
    "row_security": "behaviour",
    "row_security_forced": "behaviour",
    "comment": "cosmetic",
    "tablespace": "cosmetic",
    "clustered": "cosmetic",
    "not_null_name": "cosmetic",
    "statistics_target": "cosmetic",
}
