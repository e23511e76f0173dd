"""Commands of the job kinds: derived options, confirmation, waiting, and the exit codes of outcomes."""

from __future__ import annotations

import inspect
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
import typer
from pydantic import BaseModel, Field

from tests.cli.conftest import CANARY, ROOT, Cli, Site, Transport, clean_environment
from web.cli import exits
from web.cli.operations import command_of
from web.cli.program import program
from web.jobs.job import Outcome, Reconciled
from web.jobs.work import Evidence, Work
from web.operations import KINDS
from web.starting.operation import AnyOperation, Operation

OWN_COMMANDS = {command.name for command in program().registered_commands if command.name is not None} | {
    group.name for group in program().registered_groups if group.name is not None
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_has_a_command(cli: Cli, kind: AnyOperation) -> None:
    assert kind.name not in OWN_COMMANDS
    done = cli(kind.name, "--help")
    assert done.code == 0
    for name, field in kind.parameters.model_fields.items():
        extra = field.json_schema_extra
        named = extra.get("flag") if isinstance(extra, dict) else None
        assert str(named or f"--{name.replace('_', '-')}") in done.out
    assert ("--confirm" in done.out) == kind.mutating


class Parameters(BaseModel):
    """One of each sort."""

    needed: int
    flag: bool | None = None
    which: UUID | None = None
    mode: Literal["fast", "safe"] = "safe"
    names: tuple[str, ...] = ()
    bounded: Annotated[float, Field(gt=0, description="How much")] = 1.0


async def _run(work: Work[Parameters]) -> Outcome:
    return Outcome("Nothing")


async def _reconcile(evidence: Evidence[Parameters]) -> Reconciled:
    return Reconciled("not done", "Nothing")


def kind_with(parameters: type[BaseModel]) -> AnyOperation:
    return Operation(
        name="try-this",
        title="Try",
        verb="Try",
        parameters=parameters,
        permission="observe",
        mutating=True,
        destructive=False,
        steps=(),
        run=_run,
        reconcile=_reconcile,
    )


def test_options_from_parameters() -> None:
    app = typer.Typer(pretty_exceptions_enable=False)
    seen: list[Mapping[str, Any]] = []
    command = command_of(kind_with(Parameters))

    def noted(**given: Any) -> None:
        seen.append(given)

    signature = inspect.signature(command)
    noted.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=list(signature.parameters.values())[1:]
    )
    noted.__annotations__ = {}
    app.command()(noted)
    run = typer.main.get_command(app)
    run(["clinic/dev", "--needed", "3"], standalone_mode=False)
    run(
        ["clinic/dev", "--needed=3", "--no-flag", "--mode", "fast", "--names", "a", "--names", "b", "--wait"],
        standalone_mode=False,
    )
    nothing = {"flag": None, "which": None, "mode": None, "names": None, "bounded": None, "confirm": None}
    assert seen == [
        {**nothing, "environment": "clinic/dev", "needed": 3, "wait": False},
        {
            **nothing,
            "environment": "clinic/dev",
            "needed": 3,
            "flag": False,
            "mode": "fast",
            "names": ["a", "b"],
            "wait": True,
        },
    ]
    for wrong in (["clinic/dev"], ["clinic/dev", "--needed", "x"], ["clinic/dev", "--needed=1", "--mode=x"]):
        with pytest.raises(typer.TyperException):
            run(wrong, standalone_mode=False)


def test_parameters_may_not_take_our_options() -> None:
    class Taken(BaseModel):
        wait: bool = False

    with pytest.raises(ValueError, match="wait"):
        command_of(kind_with(Taken))


def test_every_outcome_has_an_exit_code() -> None:
    assert exits.OF_JOB == {"succeeded": 0, "failed": 1, "cancelled": 1, "not done": 1, "unknown": 3}


def test_a_job_is_started(cli: Cli, transport: Transport) -> None:
    done = cli("observe", "clinic/synced", transport=transport)
    assert done.code == 0
    match = re.fullmatch(r"Job (\d+) \(observe on clinic/synced\) is queued\.\n", done.out)
    assert match, done.out
    followed = cli("job", match[1], "--follow", transport=transport)
    assert followed.code == 0
    assert "succeeded: In sync" in followed.out
    shown = cli("job", match[1], transport=transport)
    assert "Check the database: succeeded" in shown.out


def test_waiting_for_a_backup(cli: Cli, transport: Transport) -> None:
    done = cli("backup", "clinic/backed-up", "--verify", "--wait", transport=transport)
    assert done.code == 0, done.out + done.err
    assert re.search(r"^Job \d+ \(backup on clinic/backed-up\) succeeded: ", done.out)
    lines = done.err.splitlines()
    assert re.fullmatch(r"Job \d+: backup on clinic/backed-up", lines[0])
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines[1:])
    for step in ("Dump the database: running", "Restore it and compare: succeeded"):
        assert any(line.endswith(step) for line in lines)
    kept = cli("backups", "clinic/backed-up", "--format", "json", transport=transport).json["backups"]
    assert kept[0]["state"] == "verified"
    again = cli(
        "verify",
        "clinic/backed-up",
        "--backup",
        kept[0]["id"],
        "--wait",
        "--format",
        "json",
        transport=transport,
    )
    assert again.code == 0
    assert again.json["state"] == "succeeded"
    for line in again.err.splitlines():
        assert re.match(r"\d\d:\d\d:\d\d ", line)


def test_a_parameter_that_cannot_be(cli: Cli, transport: Transport) -> None:
    done = cli("verify", "clinic/backed-up", "--backup", "no-uuid", transport=transport)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("This cannot be done as asked: Verification cannot be started")


def test_a_job_that_fails(cli: Cli, site: Site) -> None:
    done = cli("verify", "clinic/synced", "--wait")
    assert done.code == 1
    assert "failed" in done.out


def test_events_for_programs(cli: Cli, transport: Transport) -> None:
    started = cli("observe", "clinic/synced", "--wait", "--format", "json", transport=transport)
    followed = cli("job", started.json["id"], "--follow", "--format", "json", transport=transport)
    lines = [json.loads(line) for line in followed.out.splitlines()]
    assert [line["event"]["seq"] for line in lines[:-1]] == list(range(1, len(lines)))
    assert lines[-1]["job"]["state"] == "succeeded"
    assert followed.err == ""


def test_migrate_outside_production_asks_nothing(cli: Cli, site: Site) -> None:
    site.query("changed", "UPDATE alembic_version SET version_num = 'a'")
    assert cli("observe", "clinic/changed", "--wait").code == 0
    done = cli("migrate", "clinic/changed", "--wait")
    assert done.code == 0, done.out + done.err
    assert site.query("changed", "SELECT version_num FROM alembic_version") == [("c",)]
    site.query(
        "changed", "DROP VIEW emails; DROP INDEX users_email; UPDATE alembic_version SET version_num = 'a'"
    )


def test_migrate_on_production_wants_what_its_gate_wants(cli: Cli, site: Site, transport: Transport) -> None:
    assert cli("observe", "clinic/production-behind", "--wait").code == 0
    done = cli(
        "migrate", "clinic/production-behind", "--confirm", "clinic/production-behind", transport=transport
    )
    assert done.code == 1
    assert "Gate closed" in done.err
    assert "Migration is not open on clinic/production-behind" in done.err
    assert done.out == ""
    assert site.query("production-behind", "SELECT version_num FROM alembic_version") == [("a",)]


def test_there_is_no_reset_on_production(cli: Cli, transport: Transport) -> None:
    for environment in ("clinic/production", "clinic/synced"):
        done = cli("reset", environment, "--confirm", environment, transport=transport)
        assert done.code == 3
        assert done.err.startswith("Not found: There is no reset on")


def test_reset(cli: Cli, site: Site, transport: Transport) -> None:
    name = "clinic/reset-me"
    assert cli("observe", name, "--wait").code == 0
    assert cli("backup", name, "--verify", "--wait").code == 0
    unasked = cli("reset", name, transport=transport)
    assert (unasked.code, unasked.out) == (3, "")
    assert f"For scripts: --confirm {name}." in unasked.err
    wrong = cli("reset", name, "--confirm", "clinic/reset", transport=transport)
    assert (wrong.code, wrong.out) == (1, "")
    assert "The typed name does not match" in wrong.err
    site.query("reset-me", "INSERT INTO users VALUES (99, 'gone')")
    done = cli("reset", name, "--confirm", name, "--wait", transport=transport)
    assert done.code == 0, done.out + done.err
    for part in (
        "Goes: ",
        "public.users",
        "Stays:\n    application code\n",
        "every backup",
        "Identity: ",
        "Gate open",
    ):
        assert part in done.err
    assert site.query("reset-me", "SELECT version_num FROM alembic_version") == [("c",)]
    assert site.query("reset-me", "SELECT count(*) FROM users") == [(0,)]
    audit = cli("audit", "--limit", 200, "--format", "json").json["entries"]
    refused = [each["detail"]["reason"] for each in audit if each["action"] == "reset refused"]
    assert not refused, "a wrong name is caught before it is sent"


def test_the_name_is_typed_at_a_terminal(site: Site) -> None:
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "web.cli", "migrate", "clinic/production", "--config", str(site.config)],
        cwd=ROOT,
        env=clean_environment(),
        stdin=inside,
        stdout=subprocess.PIPE,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    try:
        said = _read_until(terminal, ("Type clinic/production to go on", "is not open"))
        if "is not open" not in said:
            os.write(terminal, b"clinic/staging\n")
            said += _read_until(terminal, ("Nothing was started",))
        assert process.wait(timeout=30) == 1
    finally:
        os.close(terminal)
        assert process.stdout is not None
        process.stdout.close()


def test_ctrl_c_leaves_the_job_running(site: Site) -> None:
    # Started while the worker is stopped, so it surely waits.
    site.worker.send_signal(signal.SIGSTOP)
    try:
        for transport in ("store", "http"):
            process = subprocess.Popen(
                [sys.executable, "-m", "web.cli", "observe", "clinic/middle", "--wait"],
                cwd=ROOT,
                env={**clean_environment(), **site.variables(transport)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert process.stderr is not None
            first = process.stderr.readline()
            job = first.split(":")[0].removeprefix("Job ")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
            assert process.returncode == 130
            assert out == ""
            assert f"Job {job} goes on. `cleanstart job {job} --follow` shows it" in err
            assert "Traceback" not in err
    finally:
        site.worker.send_signal(signal.SIGCONT)
    assert site.command("job", job, "--follow").code == 0


def test_cancel(cli: Cli, site: Site) -> None:
    site.worker.send_signal(signal.SIGSTOP)
    try:
        started = cli("observe", "clinic/hostile", "--format", "json").json
        asked = cli("cancel", started["id"])
        assert asked.code == 0
    finally:
        site.worker.send_signal(signal.SIGCONT)
    ended = cli("job", started["id"], "--follow")
    assert ended.code == 1
    assert "cancelled" in ended.out
    assert cli("cancel", started["id"]).code == 1
    assert cli("cancel", 999_999).code == 3


def test_no_secret_is_an_argument(site: Site) -> None:
    done = site.command("backup", "clinic/backed-up", "--wait")
    assert done.code == 0, done.err
    assert CANARY not in done.out + done.err
    assert CANARY not in (site.folder / "processes.log").read_text()


def _read_until(terminal: int, facts: tuple[str, ...], within: float = 30.0) -> str:
    said, deadline = "", time.monotonic() + within
    while not any(fact in said for fact in facts):
        assert time.monotonic() < deadline, said
        try:
            said += os.read(terminal, 4096).decode()
        except OSError:
            return said
    return said
