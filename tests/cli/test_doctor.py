"""`doctor`: a finding for everything, each with a way, even where nothing works."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Site
from web.cli.program import run

PROJECT = f"""
[projects.clinic]
source = "nothing"
[projects.clinic.alembic]
config = "alembic.ini"
python = "{sys.executable}"
[projects.clinic.environments.dev]
url = "env:NOBODY_SETS_THIS"
tier = "development"
"""


def findings(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    capsys.readouterr()
    code = run(["doctor", "--format", "json", *arguments])
    return code, {each["what"]: each for each in json.loads(capsys.readouterr().out)["findings"]}


def test_all_is_well(cli: Cli, site: Site) -> None:
    assert cli("check", "clinic/synced", "--max-age", "1h").code == 0
    done = cli("doctor")
    assert done.code == 0, done.out
    states = {line.split()[0] for line in done.out.splitlines()}
    assert states == {"ok"}, done.out
    for part in ("cleanstart.toml", "secrets can be read", "reachable and upgraded", "worker alive", "pg_dump 17",
                 "scratch 17", "free)", "3 migrations, head c"):  # fmt: skip
        assert part in done.out


def test_of_a_dashboard_elsewhere(cli: Cli, site: Site) -> None:
    done = cli("doctor", transport="http")
    assert done.code == 0
    assert f"{site.address} answers" in done.out
    assert cli("doctor", transport="http", token="cst_wrong").code == 1


def test_the_store_is_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "store").write_text("postgresql://cleanstart:hidden-word@127.0.0.1:9/store")
    (tmp_path / "backups").write_text("a file, not a folder")
    config = tmp_path / "cleanstart.toml"
    config.write_text('[store]\nurl = "file:store"\n[backups]\nlocation = "backups/here"\n' + PROJECT)
    code, found = findings(capsys, "--config", str(config))
    assert code == 1
    assert found["configuration"]["state"] == "ok"
    assert found["store"]["state"] == "fail"
    assert "Start its PostgreSQL server" in found["store"]["way"]
    assert found["secret of clinic/dev"]["state"] == "fail"
    assert "NOBODY_SETS_THIS" in found["secret of clinic/dev"]["detail"]
    assert found["clinic: migrations"]["state"] == "fail"
    assert any(name.startswith("PostgreSQL ") for name in found)
    assert "hidden-word" not in json.dumps(found)
    assert all(
        each["way"] for name, each in found.items() if each["state"] == "fail" and "secret" not in name
    )


def test_no_store_and_no_interpreter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "cleanstart.toml"
    config.write_text(PROJECT.replace(sys.executable, "/nonexistent/python"))
    code, found = findings(capsys, "--config", str(config))
    assert code == 1
    assert "cleanstart up" in found["store"]["way"]
    assert found["clinic: interpreter"]["state"] == "fail"
    assert found["backups"]["state"] == "ok"


def test_a_configuration_with_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "cleanstart.toml"
    config.write_text('[backups]\nlocaton = "x"\n')
    code, found = findings(capsys, "--config", str(config))
    assert code == 1
    assert "cleanstart.toml:2" in found["configuration"]["detail"]
    code, found = findings(capsys, "--config", str(tmp_path / "nothing.toml"))
    assert code == 1
    assert "there is no such file" in found["configuration"]["detail"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [("junk secret1234", "cannot be read"), ("mysql://u:secret1234@h/d", "must begin with postgresql://")],
)
def test_a_target_that_is_named_by_no_url(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str, reason: str
) -> None:
    (tmp_path / "dev").write_text(url)
    config = tmp_path / "cleanstart.toml"
    config.write_text(PROJECT.replace("env:NOBODY_SETS_THIS", "file:dev"))
    code, found = findings(capsys, "--config", str(config))
    finding = found["secret of clinic/dev"]
    assert (code, finding["state"]) == (1, "fail")
    assert "projects.clinic.environments.dev.url" in finding["detail"]
    assert reason in finding["detail"]
    assert "postgresql://USER" in finding["way"]
    assert "secret1234" not in json.dumps(found)
