"""`users`, `tokens`, `audit`: roles, passwords that come from stdin alone, tokens that are shown once."""

from __future__ import annotations

import io
import json
import os
import uuid

import pytest

from tests.cli.conftest import HOSTILE, Cli, Site, Transport

PASSWORD = "correct horse battery staple"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads stdin gets the password."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))


def named(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


@pytest.mark.usefixtures("typed")
def test_the_life_of_a_user(cli: Cli, transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    # Somebody who administers everything stays.
    keeper, name = named("keeper"), named("ada")
    assert cli("users", "create", keeper, "--role", "admin", transport=transport).code == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    done = cli(
        "users", "create", name, "--role", "viewer", "--project", "clinic", "--display-name", HOSTILE,
        transport=transport,
    )  # fmt: skip
    assert (done.code, done.out) == (0, f"User {name} may sign in.\n")
    assert cli("users", "grant", name, "operator", "--project", "clinic", transport=transport).code == 0
    assert cli("users", "grant", name, "viewer", transport=transport).code == 0

    def found() -> dict[str, object]:
        users = cli("users", "list", "--format", "json", transport=transport).json["users"]
        return next(user for user in users if user["name"] == name)

    assert found()["grants"] == {"*": "viewer", "clinic": "operator"}
    assert cli("users", "grant", name, "none", transport=transport).code == 0
    assert found()["grants"] == {"clinic": "operator"}
    assert cli("users", "disable", name, transport=transport).code == 0
    assert found()["disabled"]
    assert cli("users", "enable", name, transport=transport).code == 0
    assert not found()["disabled"]
    monkeypatch.setattr("sys.stdin", io.StringIO(f"another {PASSWORD}\n"))
    assert cli("users", "password", name, transport=transport).code == 0
    assert cli("users", "forget-devices", name, transport=transport).code == 0
    assert cli("users", "forget-devices", "nobody", transport=transport).code == 3
    listed = cli("users", "list", transport=transport).out
    assert "operator on clinic" in listed
    assert "\x1b" not in listed
    assert "\u202e" not in listed
    audit = cli("audit", "--limit", 1000, transport=transport).out
    assert f"user {name}" in audit
    assert PASSWORD not in audit + listed


def test_no_option_takes_a_password(cli: Cli) -> None:
    for command in ("create", "password"):
        assert "--password" not in cli("users", command, "--help").out
        assert cli("users", command, "ada", "--password", "x").code == 3


@pytest.mark.usefixtures("typed")
def test_what_cannot_be(cli: Cli, transport: Transport) -> None:
    name = named("eve")
    assert cli("users", "create", "Not A Name", "--role", "admin", transport=transport).code == 3
    assert cli("users", "disable", name, transport=transport).code == 3
    assert cli("users", "disable", "..", transport=transport).code == 3
    assert cli("users", "disable", "a/b?c#d%2e", transport=transport).code == 3
    assert cli("users", "create", name, transport=transport).code == 3


#: As Python hands over bytes that are no UTF-8.
BYTES = "caf\udce9-secret"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["users", "create", BYTES, "--role", "viewer"], "name"),
        (["users", "create", "ada", "--role", "viewer", "--display-name", BYTES], "display name"),
        (["users", "disable", BYTES], "name"),
        (["tokens", "create", BYTES, "--role", "viewer"], "name"),
        (["tokens", "revoke", BYTES], "name"),
        (["jobs", "--kind", BYTES], "kind"),
    ],
    ids=lambda given: " ".join(given[:2]) if isinstance(given, list) else given,
)
@pytest.mark.usefixtures("typed")
def test_bytes_that_are_no_text(cli: Cli, transport: Transport, arguments: list[str], what: str) -> None:
    done = cli(*arguments, transport=transport)
    assert (done.code, done.out) == (3, "")
    assert f"The {what} is not UTF-8 text." in done.err
    assert "encoding" in done.err
    assert "secret" not in done.err


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
@pytest.mark.parametrize("command", [["create", "ada", "--role", "viewer"], ["password", "ada"]])
def test_a_password_that_is_no_text(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, errors: str, command: list[str]
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"secret caf\xe9 secret\n"), encoding="utf-8", errors=errors)
    monkeypatch.setattr("sys.stdin", stdin)
    done = cli("users", *command)
    assert (done.code, done.out) == (3, "")
    assert "The password is not UTF-8 text." in done.err
    assert "secret" not in done.err


@pytest.mark.usefixtures("typed")
@pytest.mark.parametrize("project", ["clinc", "", "<script>", "x" * 9_000])
def test_no_role_on_a_project_that_is_not_there(cli: Cli, transport: Transport, project: str) -> None:
    name = named("typo")
    for call in (
        ("users", "create", name, "--role", "admin"),
        ("users", "grant", name, "viewer"),
        ("users", "grant", name, "none"),
        ("tokens", "create", name, "--role", "viewer"),
    ):
        done = cli(*call, "--project", project, transport=transport)
        assert done.code in (1, 3)
        if len(project) < 63 and "grant" not in call:
            assert f"There is no project “{project}”." in done.err
            assert "Known here: clinic." in done.err
    assert name not in cli("users", "list", transport=transport).out
    assert name not in cli("tokens", "list", transport=transport).out


def test_two_different_passwords(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    answers = iter(["one of them is this", "the other is that"])
    monkeypatch.setattr("getpass.getpass", lambda prompt, stream: next(answers))
    done = cli("users", "create", named("bob"), "--role", "viewer")
    assert done.code == 3
    assert "The two passwords differ. Nothing was changed." in done.err


def test_the_life_of_a_token(cli: Cli, transport: Transport) -> None:
    name = f"{named('ci')} <b>/[x]"
    made = cli("tokens", "create", name, "--role", "viewer", "--project", "clinic", transport=transport)
    assert made.code == 0
    token = made.out.strip()
    assert token.startswith("cst_")
    assert cli("status", transport="http", token=token).code == 0
    refused = cli("backup", "clinic/synced", transport="http", token=token)
    assert refused.code == 1
    assert refused.err.startswith("This operation is not allowed: ")
    assert cli("users", "list", transport="http", token=token).code == 3
    listed = cli("tokens", "list", transport=transport).out
    assert name in listed
    assert token not in listed
    assert token not in cli("audit", "--limit", 1000).out
    assert cli("tokens", "revoke", name, transport=transport).code == 0
    assert cli("status", transport="http", token=token).code == 3
    again = cli("tokens", "create", name, "--role", "viewer", transport=transport)
    assert again.code == 1


def test_audit(cli: Cli, site: Site, transport: Transport) -> None:
    done = cli("audit", "--verify", transport=transport)
    assert done.code == 0
    assert "entries are intact" in done.out
    entries = cli("audit", "--limit", 5, "--format", "json", transport=transport).json["entries"]
    assert len(entries) == 5
    older = cli("audit", "--before", entries[-1]["id"], "--limit", 1, "--format", "json").json["entries"]
    assert older[0]["id"] == entries[-1]["id"] - 1


def test_the_audit_trail_names_the_systems_user(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    me = pwd.getpwuid(os.geteuid()).pw_name
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.setenv(variable, "somebody-else")
    name = named("mine")
    assert cli("tokens", "create", name, "--role", "viewer").code == 0
    entries = cli("audit", "--limit", 1, "--format", "json").json["entries"]
    assert (entries[0]["actor"], entries[0]["object"]) == (f"local:{me}", f"token {name}")
    over_http = named("theirs")
    assert cli("tokens", "create", over_http, "--role", "viewer", transport="http").code == 0
    entries = cli("audit", "--limit", 1, "--format", "json").json["entries"]
    assert entries[0]["actor"] == "token:ci"
    assert json.dumps(entries)
