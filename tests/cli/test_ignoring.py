"""`ignore-rules`: made, listed, removed over either transport; `drift` tells what they cover."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.cli.conftest import Cli, Transport

UNTIL = (datetime.now(UTC).date() + timedelta(days=10)).isoformat()


def test_the_life_of_a_rule(cli: Cli, transport: Transport) -> None:
    def drift() -> tuple[int, int, int]:
        done = cli("drift", "clinic/drifted", "--max-age", "1h", "--format", "json", transport=transport)
        return done.code, len(done.json["differences"]), len(done.json["ignored"])

    assert drift() == (1, 1, 0)
    made = cli(
        "ignore-rules", "add", "clinic/drifted", "public.users.hot*", "--reason", "Until the release.",
        "--until", UNTIL, "--kind", "column", transport=transport,
    )  # fmt: skip
    assert made.code == 0, made.err
    assert f"until {UNTIL}" in made.out
    assert drift() == (0, 0, 1)
    said = cli("drift", "clinic/drifted", transport=transport)
    assert "No difference." in said.out
    assert "1 difference more: ignored" in said.err
    listed = cli("ignore-rules", "list", "clinic", "--format", "json", transport=transport).json["rules"]
    assert (listed[0]["object"], listed[0]["state"]) == ("public.users.hot*", "active")
    assert "Until the release." in cli("ignore-rules", "list", "clinic", transport=transport).out
    assert cli("ignore-rules", "remove", "clinic", listed[0]["id"], transport=transport).code == 0
    assert drift() == (1, 1, 0)
    again = cli("ignore-rules", "remove", "clinic", listed[0]["id"], transport=transport)
    assert again.code == 3
    assert "no rule" in again.err


def test_what_makes_no_sense_is_refused(cli: Cli, transport: Transport) -> None:
    everything = cli(
        "ignore-rules", "add", "clinic", "*", "--reason", "x", "--until", UNTIL, transport=transport
    )
    assert everything.code == 3
    assert "hides all drift" in everything.err
    past = cli(
        "ignore-rules",
        "add",
        "clinic",
        "public.x",
        "--reason",
        "x",
        "--until",
        "2020-01-01",
        transport=transport,
    )
    assert past.code == 3
    assert "a day to come" in past.err
