"""`approvals`: asked for by a pipeline, refused to it and to who made its token, over either transport."""

from __future__ import annotations

from tests.cli.conftest import Cli, Site

WHERE = "clinic/approved"


def test_from_asking_to_withdrawing(cli: Cli, site: Site) -> None:
    assert cli("observe", WHERE, "--wait").code == 0
    assert cli("rehearse", WHERE, "--wait").code == 0
    held = cli("migrate", WHERE, "--wait", transport="http")
    assert held.code != 0
    assert "Not approved" in held.err
    asked = cli("approvals", "ask", WHERE, "migrate", "--reason", "release 48", transport="http")
    assert asked.code == 0, asked.err
    assert "waits for 1 approval" in asked.out
    (request,) = cli("approvals", "list", "--format", "json", transport="http").json["requests"]
    number = request["id"]
    assert (request["state"], request["needed"], request["given"], request["reason"]) == (
        "open",
        1,
        0,
        "release 48",
    )
    assert (request["environment"], request["kind"], request["asked_by"]) == (
        "approved",
        "migrate",
        "token:ci",
    )
    again = cli("approvals", "ask", WHERE, "migrate")
    assert again.code == 1
    assert f"Request {number} asks for this already" in again.err
    token = cli("approvals", "approve", number, transport="http")
    assert token.code == 1
    assert "A token cannot decide" in token.err
    maker = cli("approvals", "approve", number)
    assert maker.code == 1
    assert "a token that you made" in maker.err
    listed = cli("approvals", "list")
    assert "release 48" in listed.out
    shown = cli("approvals", "show", number)
    assert "It waits for 1 approval" in shown.out
    assert cli("status").code == 0
    withdrawn = cli("approvals", "withdraw", number, transport="http")
    assert withdrawn.code == 0, withdrawn.err
    assert cli("approvals", "list").out.strip() == "Nothing waits for approval."
    assert cli("approvals", "list", "--all", "--format", "json").json["requests"][0]["state"] == "withdrawn"
    gone = cli("approvals", "approve", 999_999)
    assert gone.code == 3
    assert "There is no request 999999" in gone.err
    assert site.query("approved", "SELECT version_num FROM alembic_version") == [("a",)]


def test_what_it_does_not_understand(cli: Cli) -> None:
    for arguments, said in (
        (("ask", WHERE, "backup"), "needs nobody's approval"),
        (("ask", WHERE, "nothing"), "There is no operation"),
        (("ask", WHERE, "stamp", "--set", "revision"), "is not NAME=VALUE"),
        (("reject", "1"), "--note"),
    ):
        done = cli("approvals", *arguments)
        assert done.code != 0, arguments
        assert said in done.err, (arguments, done.err)
