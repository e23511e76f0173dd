"""What becomes of a process that ends right after its start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from web.cli.supervisor import Child, supervise

AGAIN = "worker ended with exit code 3; starting it again"


async def test_a_store_that_is_away_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its server may have been killed just now, and is started again by the very parent of the worker."""
    monkeypatch.setenv("STORE", f"postgresql://nobody@/nothing?host={tmp_path}")
    file = tmp_path / "cleanstart.toml"
    file.write_text('[store]\nurl = "env:STORE"\n')
    child = Child("worker", ("worker", "--config", str(file)))
    assert await supervise([child], stopping=asyncio.Event()) == 3
    said = capfd.readouterr().err
    assert said.count(AGAIN) == 2
    assert said.count("cannot be reached") == 3
