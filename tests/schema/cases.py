"""Every change case, and every case on every server that knows what it uses."""

from __future__ import annotations

import pytest

from tests.schema import (
    cases_access,
    cases_columns,
    cases_dependents,
    cases_objects,
    cases_parts,
    cases_tables,
)
from tests.schema.case import MAJORS

CASES = (
    *cases_tables.CASES,
    *cases_columns.CASES,
    *cases_parts.CASES,
    *cases_objects.CASES,
    *cases_access.CASES,
    *cases_dependents.CASES,
)
EVERYWHERE = [
    pytest.param(major, case, id=f"{major}-{case.name}")
    for major in MAJORS
    for case in CASES
    if case.since <= major
]
