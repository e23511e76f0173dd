"""`status`, `history`, `drift`, `timeline` and the other questions, as people and as programs read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import HOSTILE, Cli, Site, Transport
from tests.tools.written import migration, write_project
from web.cli.program import run

#: Every question, with the keys of its JSON.
QUESTIONS = [
    (["status"], {"projects", "attention", "live_workers"}),
    (["status", "clinic/synced"], {"verdict", "gate", "observation", "facts"}),
    (["history", "clinic"], {"project", "history", "error"}),
    (["migrations", "clinic/synced"], {"verdict", "migrations"}),
    (["drift", "clinic/synced"], {"state", "differences", "observed_at"}),
    (["timeline", "clinic/synced"], {"entries", "older"}),
    (["backups", "clinic/synced"], {"backups", "environment"}),
    (["builds", "clinic"], {"builds"}),
    (["jobs"], {"jobs"}),
    (["jobs", "clinic"], {"jobs"}),
    (["jobs", "clinic/synced", "--kind", "observe"], {"jobs"}),
    (["audit"], {"entries"}),
    (["users", "list"], {"users"}),
    (["tokens", "list"], {"tokens"}),
    (["doctor"], {"findings"}),
]


@pytest.fixture(autouse=True, scope="module")
def looked_at(site: Site) -> None:
    """What is asked here stands on looks at these."""
    for environment in ("synced", "behind", "hostile", "drifted"):
        arguments = ["check", f"clinic/{environment}", "--max-age", "1h"]
        assert run([*arguments, "--config", str(site.config)]) in (0, 1)


@pytest.mark.parametrize(
    ("question", "keys"),
    QUESTIONS,
    ids=lambda value: " ".join(sorted(value) if isinstance(value, set) else value),
)
def test_every_question_by_both_transports(
    cli: Cli, transport: Transport, question: list[str], keys: set[str]
) -> None:
    text = cli(*question, transport=transport)
    assert text.code in (0, 1), text.err
    assert text.out
    assert "\x1b" not in text.out
    assert "\u202e" not in text.out
    assert "None" not in text.out
    told = cli(*question, "--format", "json", transport=transport)
    assert told.code == text.code
    assert keys <= told.json.keys()
    assert told.err == ""


def test_status(cli: Cli, transport: Transport) -> None:
    lines = cli("status", transport=transport).out.splitlines()
    row = next(line.split("  ") for line in lines if line.startswith("clinic/behind "))
    assert [cell.strip() for cell in row if cell.strip()][:3] == ["clinic/behind", "development", "2 pending"]
    assert any("Needs attention" in line for line in lines)


def test_history(cli: Cli) -> None:
    lines = cli("history", "clinic").out.splitlines()
    assert [line.split()[0] for line in lines] == ["revision", "c", "b", "a"]
    assert "(head)" in lines[1]


def test_migrations(cli: Cli) -> None:
    done = cli("migrations", "clinic/behind")
    marks = {line.split()[0]: line.split()[1] for line in done.out.splitlines()[1:-1]}
    assert marks == {"a": "applied", "b": "pending", "c": "pending"}
    assert done.out.splitlines()[-1] == "2 migrations are pending."


def test_drift(cli: Cli, transport: Transport) -> None:
    none = cli("drift", "clinic/synced", transport=transport)
    assert (none.code, none.out) == (0, "No difference.\n")
    some = cli("drift", "clinic/drifted", transport=transport)
    assert some.code == 1
    assert "public.users.hotfix" in some.out
    assert some.out.endswith("1 difference\n")


def test_drift_that_could_not_be_compared(cli: Cli) -> None:
    assert cli("check", "clinic/strange").code == 2
    done = cli("drift", "clinic/strange")
    assert done.code == 3
    assert done.out.startswith("Could not compare: ")
    assert cli("drift", "clinic/nowhere").code == 3


def test_drift_takes_a_fresh_look_where_asked(cli: Cli, site: Site) -> None:
    assert cli("drift", "clinic/middle", "--max-age", "0s").code == 0
    site.query("middle", "CREATE TABLE by_hand (id int)")
    assert cli("drift", "clinic/middle", "--max-age", "0s").code == 1
    site.query("middle", "DROP TABLE by_hand")
    assert cli("drift", "clinic/middle", "--max-age", "0s").code == 0


def test_hostile_names_do_not_steer_the_terminal(cli: Cli) -> None:
    done = cli("drift", "clinic/hostile")
    assert done.code == 1
    assert "\\x1b[2J\\u202e\U0001f600" in done.out
    assert "[red]" in done.out
    told = cli("drift", "clinic/hostile", "--format", "json")
    assert HOSTILE.replace('"', '""') in told.json["differences"][0]["object"]
    assert told.out.isascii()


def test_register_build(cli: Cli, site: Site, transport: Transport, tmp_path: Path) -> None:
    number = 100 if transport == "store" else 200
    source = tmp_path / "checkout with spaces"
    write_project(source, {"a": migration("a"), "h": migration("h", "a").replace("step h", HOSTILE)})
    made = cli(
        "register-build",
        "clinic",
        "--number",
        number,
        "--commit",
        "abc",
        "--source",
        source,
        transport=transport,
    )
    assert made.code == 0
    assert made.out == f"Build #{number} of clinic is registered with 2 migrations; head h.\n"
    again = cli("register-build", "clinic", "--number", number, "--source", source, transport=transport)
    assert again.code == 0
    write_project(source, {"i": migration("i", "h")})
    other = cli("register-build", "clinic", "--number", number, "--source", source, transport=transport)
    assert other.code == 1
    assert "Numbers are never used twice" in other.err
    listed = cli("builds", "clinic", transport=transport).out
    assert f"#{number}" in listed


def test_register_build_with_another_configuration(cli: Cli, tmp_path: Path) -> None:
    write_project(tmp_path / "db", {"a": migration("a")})
    missing = cli("register-build", "clinic", "--number", 300, "--source", tmp_path)
    assert missing.code == 3
    assert "alembic.ini" in missing.err
    made = cli(
        "register-build", "clinic", "--number", 300, "--source", tmp_path, "--config-path", "db/alembic.ini"
    )
    assert made.code == 0
    assert cli("register-build", "clinic", "--number", 301, "--source", tmp_path / "nothing").code == 3


def test_record_deployment(cli: Cli, transport: Transport) -> None:
    done = cli("record-deployment", "clinic/production", "--build", 2, transport=transport)
    assert (done.code, done.out) == (0, "clinic/production runs build #2.\n")
    assert cli("status", "clinic/production", "--format", "json").json["build"] == 2
    assert cli("record-deployment", "clinic/production", "--build", 999, transport=transport).code == 3


def test_jobs_can_be_paged(cli: Cli) -> None:
    first = cli("jobs", "--limit", 1, "--format", "json").json["jobs"]
    second = cli("jobs", "--limit", 1, "--before", first[0]["id"], "--format", "json").json["jobs"]
    assert second[0]["id"] < first[0]["id"]
