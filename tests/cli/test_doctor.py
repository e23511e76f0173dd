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
    ("top", "state", "detail"),
    [
        ("", None, ""),
        ('public_url = "http://localhost:8321"', None, ""),
        ('public_url = "https://db.acme.internal"', "warn", "No proxy is trusted"),
        ('trusted_proxies = ["10.0.0.5"]', "ok", "X-Forwarded-For of 10.0.0.5/32 is believed"),
    ],
)
def test_whose_word_on_addresses_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], top: str, state: str | None, detail: str
) -> None:
    config = tmp_path / "cleanstart.toml"
    config.write_text(f"{top}\n{PROJECT}")
    _, found = findings(capsys, "--config", str(config))
    assert found.get("proxies", {}).get("state") == state
    assert detail in found.get("proxies", {"detail": ""})["detail"]


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


@pytest.mark.parametrize(
    ("before", "after", "what", "detail", "way"),
    [
        ("", 'backups.location = "a-file"', "backups", "a-file is not a folder", "backups.location"),
        ("", 'backups.location = "a-file/x"', "backups", "a-file is not a folder", "backups.location"),
        ("", 'backups.location = "/proc/x"', "backups", "nothing can be made in /proc", "backups.location"),
        ("", 'data_directory = "a-file"', "data directory", "a-file is not a folder", "data_directory"),
        (
            "",
            'data_directory = "/proc/x"',
            "data directory",
            "nothing can be made in /proc",
            "data_directory",
        ),
        (sys.executable, "/tmp", "clinic: interpreter", "no interpreter /tmp that", "clinic.alembic.python"),
        (sys.executable, "{folder}/a-file", "clinic: interpreter", "no interpreter", "clinic.alembic.python"),
    ],
)
def test_settings_that_would_stop_an_operation(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    before: str,
    after: str,
    what: str,
    detail: str,
    way: str,
) -> None:
    (tmp_path / "a-file").touch()
    (tmp_path / "cleanstart.toml").write_text(
        PROJECT.replace(before, after.format(folder=tmp_path)) if before else f"{after}\n{PROJECT}"
    )
    code, found = findings(capsys, "--config", str(tmp_path / "cleanstart.toml"))
    assert (code, found[what]["state"]) == (1, "fail")
    assert detail in found[what]["detail"]
    assert way in found[what]["way"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"caf\xe9", "not UTF-8 text"),
        (b"\\connect elsewhere", "a command of psql"),
        (b"SELECT 1; SELECT 2", ""),
    ],
)
def test_scripts_that_could_not_be_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, said: str
) -> None:
    (tmp_path / "nothing").mkdir()
    if content is not None:
        (tmp_path / "nothing" / "it.sql").write_bytes(content)
    (tmp_path / "cleanstart.toml").write_text(
        f'{PROJECT}reset = {{ seed = "it.sql", script = "it.sql" }}\n'
        '[projects.clinic.alembic.prelude]\nsql = "it.sql"\n'
    )
    _, found = findings(capsys, "--config", str(tmp_path / "cleanstart.toml"))
    keys = ("environments.dev.reset.seed", "environments.dev.reset.script", "alembic.prelude.sql")
    for key in (f"projects.clinic.{key}" for key in keys):
        assert (key in found) == bool(said)
        if said:
            assert found[key]["state"] == "fail"
            assert said in found[key]["detail"]
            assert key in found[key]["way"]
