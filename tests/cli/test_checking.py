"""`check`: the table of its exit codes over every verdict, by either transport; what it looks at, and when."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Cli, Site, Transport

#: Environment, build (None: the source), with --gate, exit code, verdict.
CASES = [
    ("synced", 3, False, 0, "in sync"),
    ("synced", 3, True, 0, "in sync"),
    ("synced", None, False, 0, "in sync"),
    ("behind", 3, False, 1, "pending"),
    ("behind", 3, True, 1, "pending"),
    ("fresh", 3, False, 1, "pending"),
    ("drifted", 3, False, 0, "in sync"),
    ("drifted", 3, True, 1, "in sync"),
    ("production", 3, False, 0, "in sync"),
    ("production", 3, True, 1, "in sync"),
    ("synced", 2, False, 2, "ahead"),
    ("synced", 2, True, 2, "ahead"),
    ("middle", 5, False, 2, "diverged"),
    ("synced", 6, False, 2, "edited after apply"),
    ("synced", 4, False, 2, "several heads"),
    ("strange", 3, False, 2, "unknown revision"),
    ("dead", 3, False, 3, "unreachable"),
    ("dead", 3, True, 3, "unreachable"),
]


@pytest.mark.parametrize(("environment", "build", "gate", "code", "verdict"), CASES)
def test_exit_codes(
    cli: Cli, environment: str, build: int | None, gate: bool, code: int, verdict: str
) -> None:
    arguments = [f"clinic/{environment}", *(["--build", str(build)] if build else [])]
    done = cli("check", *arguments, *(["--gate"] if gate else []), "--format", "json")
    assert done.json["verdict"] == verdict, done.json["sentence"]
    assert done.code == code


def test_both_transports_give_one_answer(cli: Cli) -> None:
    here = cli("check", "clinic/behind", "--build", 3, "--format", "json", transport="store")
    there = cli(
        "check", "clinic/behind", "--build", 3, "--format", "json", "--max-age", "1h", transport="http"
    )
    assert here.code == there.code == 1
    # The schedule may have looked in between.
    moments = {"observation": None, "observation_age": None, "gate": None}
    assert {**here.json, **moments} == {**there.json, **moments}
    assert here.json["gate"]["open"] == there.json["gate"]["open"]


def test_text(cli: Cli, transport: Transport) -> None:
    done = cli("check", "clinic/behind", "--build", "3", "--gate", transport=transport)
    assert done.code == 1
    assert done.out.startswith("2 pending: build #3 on clinic/behind\n2 migrations are pending.\n")
    assert "Gate closed" in done.out
    assert "Apply the 2 migrations first." in done.out
    assert "Checked just now." in done.err


def test_a_fresh_look_is_taken(cli: Cli, site: Site) -> None:
    assert cli("check", "clinic/changed").code == 1
    site.query("changed", "UPDATE alembic_version SET version_num = 'nobody-knows'")
    old = cli("check", "clinic/changed", "--max-age", "1h")
    assert old.code == 1
    assert cli("check", "clinic/changed", "--max-age", "0s").code == 2
    site.query("changed", "UPDATE alembic_version SET version_num = 'a'")
    assert cli("check", "clinic/changed").code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["clinic/synced", "--build", "99"],
        ["clinic/nowhere"],
        ["nowhere/synced"],
        ["clinic"],
        ["clinic/../../users"],
        ["clinic/synced", "--build", "none"],
        ["clinic/synced", "--build", "0"],
        ["clinic/synced", "--max-age", "soon"],
        ["clinic/synced", "--nonsense"],
        [],
        ["clinic/synced", "--config", "/nonexistent.toml"],
    ],
    ids=lambda arguments: " ".join(arguments) or "nothing",
)
@pytest.mark.parametrize("format_", ["text", "json"])
def test_what_cannot_be_told_is_never_a_no(cli: Cli, arguments: list[str], format_: str) -> None:
    done = cli("check", *arguments, "--format", format_)
    assert done.code == 3
    assert done.out == ""
    assert done.err.startswith("{" if format_ == "json" else tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


def test_a_build_that_there_cannot_be(cli: Cli, transport: Transport) -> None:
    done = cli("check", "clinic/synced", "--build", "9" * 20, transport=transport)
    assert (done.code, done.out) == (3, "")
    assert f"There is no build #{'9' * 20}" in done.err
