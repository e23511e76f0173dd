"""`settle`: what it refuses over either transport; what it does is held by tests/operations/test_endings.py."""

from __future__ import annotations

from tests.cli.conftest import Cli, Transport


def test_what_is_not_in_doubt_cannot_be_settled(cli: Cli, transport: Transport) -> None:
    done = cli("settle", "clinic/synced", 999_999, "--reason", "Looked at it.", transport=transport)
    assert done.code == 3
    assert "Nothing of job 999999 is in doubt on clinic/synced" in done.err
    assert cli("settle", "clinic/synced", 999_999, transport=transport).code == 3


def test_what_is_in_doubt_is_named(cli: Cli, transport: Transport) -> None:
    found = cli("status", "clinic/synced", "--format", "json", transport=transport).json
    assert (found["doubts"], found["unseen_job"]) == ([], None)
    assert "In doubt" not in cli("status", "clinic/synced", transport=transport).out
