"""Real projects from PyPI, each in an environment of its own."""

from __future__ import annotations

import pytest

from tests.tools.foreign import Foreign, foreign


@pytest.fixture(scope="session")
def optuna() -> Foreign:
    return foreign("optuna")


@pytest.fixture(scope="session")
def mlflow() -> Foreign:
    return foreign("mlflow")
