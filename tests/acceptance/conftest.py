"""Installations whose processes are real, one for each module: they are shared by its tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.installation import Installation, installed
from web.postgres.embedded import EmbeddedServer


@pytest.fixture(scope="module")
def cleanstart(
    server: EmbeddedServer, store_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation on a fresh store, without configuration yet."""
    with installed(server, store_template, tmp_path_factory.mktemp("installation")) as installation:
        yield installation
