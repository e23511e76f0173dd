"""Sets of programs: found in order of preference, unpacked once, copied where another user can reach them."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from web.errors import ProgramMissing
from web.postgres.program_places import archives_in, reachable_copy, unpack
from web.postgres.programs import Programs, find_programs, server_for
from web.walls.accounts import SERVERS, Account, reaches, system_account

PLACE = Path(__file__).parents[2] / ".cache" / "postgresql"


def test_the_configured_come_first_then_wheels_then_the_system() -> None:
    found = find_programs([PLACE / "15"])
    assert (found[0].major, found[0].source) == (15, "configuration")
    sources = [programs.source for programs in found]
    assert sources == sorted(sources, key=["configuration", "wheel", "system"].index)
    assert "wheel" in sources
    assert len({programs.directory for programs in found}) == len(found)


def test_a_folder_may_be_named_as_bin_or_prefix(programs: tuple[Programs, ...]) -> None:
    bin_folder = next(found.directory for found in programs if found.major == 17)
    for folder in (bin_folder, bin_folder.parent):
        assert find_programs([folder])[0].directory == bin_folder


def test_a_named_folder_without_programs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProgramMissing, match=re.escape(str(tmp_path))):
        find_programs([tmp_path])


def test_what_is_on_the_path_but_only_a_wrapper_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = tmp_path / "pg_wrapper"
    wrapper.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 99.1'\n")
    wrapper.chmod(0o755)
    (tmp_path / "pg_dump").symlink_to(wrapper)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not [found for found in find_programs() if found.major == 99]
    (tmp_path / "pg_dump").unlink()
    wrapper.rename(tmp_path / "pg_dump")
    found = [found for found in find_programs() if found.major == 99]
    assert [(programs.version, programs.source) for programs in found] == [("99.1", "system")]
    assert server_for(99, found) is None
    with pytest.raises(ProgramMissing, match=r"initdb of PostgreSQL 99\.1"):
        found[0].path("initdb")


def test_archives_are_unpacked_once(tmp_path: Path) -> None:
    (archive,) = archives_in(PLACE / "15")
    prefix = unpack(archive, tmp_path / "cache")
    assert (prefix / "bin" / "postgres").is_file()
    made = (prefix / "bin").stat().st_ino
    assert unpack(archive, tmp_path / "cache") == prefix
    assert (prefix / "bin").stat().st_ino == made


@pytest.mark.parametrize(("mode", "expected"), [(0o700, False), (0o701, True), (0o711, True), (0o710, False)])
def test_reach(tmp_path: Path, mode: int, expected: bool) -> None:
    stranger = Account("stranger", 4711, 4711)
    gate = Path("/tmp") / f"cleanstart-reach-{os.getpid()}"
    (gate / "inside").mkdir(parents=True)
    try:
        gate.chmod(mode)
        assert reaches(stranger, gate / "inside") is expected
        assert reaches(stranger, gate / "inside" / "not there yet") is expected
    finally:
        shutil.rmtree(gate)


@pytest.mark.skipif(os.geteuid() != 0, reason="programs are copied for root's server user only")
def test_unreachable_programs_are_copied_once(tmp_path: Path, programs: tuple[Programs, ...]) -> None:
    account = system_account(SERVERS)
    assert account is not None
    chosen = next(found for found in programs if found.major == 15 and found.source == "configuration")
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    shutil.copytree(chosen.directory.parent, hidden / "prefix", symlinks=True)
    copy = reachable_copy(hidden / "prefix" / "bin", chosen.version, account)
    assert reaches(account, copy)
    assert copy == reachable_copy(hidden / "prefix" / "bin", chosen.version, account)
    assert find_programs([copy])[0].version == chosen.version
    shutil.rmtree(copy.parent)
