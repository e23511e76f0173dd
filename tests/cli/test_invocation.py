"""Options before and after the command, configuration, transports that cannot be used, and exits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import uvicorn

from tests.cli.conftest import ROOT, Cli, Site, clean_environment
from web.cli import exits
from web.cli.listening import listen
from web.cli.program import NoRoom, run
from web.errors import CleanStartError, Conflict, NotFound, Refused


def test_options_before_and_after_the_command(cli: Cli, site: Site) -> None:
    for arguments in (
        ["--format", "json", "--config", site.config, "status"],
        ["status", "--format", "json", "--config", site.config],
        ["--format=text", "status", "--format=json"],
    ):
        assert {each["name"] for each in cli(*arguments).json["projects"]} == {"clinic"}


def test_a_configuration_on_the_command_line_is_nearer_than_an_address(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEANSTART_URL", "https://elsewhere.invalid")
    monkeypatch.setenv("CLEANSTART_TOKEN", "cst_nothing")
    assert run(["--config", str(site.config), "status"]) == 0
    assert "clinic/synced" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"CLEANSTART_URL": "http://db.acme.internal", "CLEANSTART_TOKEN": "cst_x"}, "plain http"),
        ({"CLEANSTART_URL": "https://a:secret@db.acme", "CLEANSTART_TOKEN": "cst_x"}, "expected https://"),
        ({"CLEANSTART_URL": "https://db.acme/path", "CLEANSTART_TOKEN": "cst_x"}, "without a path"),
        ({"CLEANSTART_URL": "ftp://db.acme", "CLEANSTART_TOKEN": "cst_x"}, "expected https://"),
        ({"CLEANSTART_URL": "https://[", "CLEANSTART_TOKEN": "cst_x"}, "expected https://"),
        ({"CLEANSTART_URL": "https://db.acme"}, "CLEANSTART_TOKEN is not"),
        ({"CLEANSTART_TOKEN": "cst_secret"}, "CLEANSTART_URL is not"),
        ({"CLEANSTART_URL": "https://db.acme", "CLEANSTART_TOKEN": "cst\nsecret"}, "no token"),
        ({"CLEANSTART_URL": "http://127.0.0.1:9", "CLEANSTART_TOKEN": "cst_secret"}, "cannot be reached"),
        ({"CLEANSTART_CONFIG": "/nonexistent/cleanstart.toml"}, "there is no such file"),
        ({"CLEANSTART_CONFIG": "/"}, "/: this is a folder; expected a file\nName one with --config"),
        ({"CLEANSTART_CONFIG": "x" * 5000}, "cannot be read: File name too long"),
    ],
)
def test_transports_that_cannot_be_used(
    variables: dict[str, str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("CLEANSTART_"):
            monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for command in (["status"], ["backup", "clinic/dev"], ["check", "clinic/dev"]):
        assert run(command) == 3
        printed = capsys.readouterr()
        assert said in printed.err
        assert "secret" not in printed.err
        assert printed.out == ""


def test_a_token_that_is_none_is_refused(cli: Cli) -> None:
    done = cli("status", transport="http", token="cst_wrong")
    assert (done.code, done.err.splitlines()[0]) == (
        3,
        "Sign in first: This API token is not known, has expired or was revoked.",
    )


@pytest.fixture
def stranger(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that answers everything with this text."""
    answer = request.param.encode()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": answer})

    sock = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    serving = threading.Thread(target=server.run, args=([sock],))
    serving.start()
    yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    server.should_exit = True
    serving.join()


@pytest.mark.parametrize("stranger", ["{}", '{"ok": true}', "[]", "fine"], indirect=True)
@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["status", "clinic/dev"],
        ["check", "clinic/dev"],
        ["check", "clinic/dev", "--build", "3"],
        ["history", "clinic"],
        ["backup", "clinic/dev"],
        ["users", "list"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_a_server_that_is_no_dashboard(
    stranger: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.delenv("CLEANSTART_CONFIG", raising=False)
    monkeypatch.setenv("CLEANSTART_URL", stranger)
    monkeypatch.setenv("CLEANSTART_TOKEN", "cst_secret")
    code = run(arguments)
    printed = capsys.readouterr()
    assert code == (1 if arguments == ["doctor"] else 3)
    assert "does not speak this version of Clean Start's API" in printed.out + printed.err
    assert "CLEANSTART_URL" in printed.out + printed.err


@pytest.mark.parametrize("stranger", ["{}"], indirect=True)
def test_an_empty_answer_is_none_for_programs_either(
    stranger: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CLEANSTART_CONFIG", raising=False)
    monkeypatch.setenv("CLEANSTART_URL", stranger)
    monkeypatch.setenv("CLEANSTART_TOKEN", "cst_secret")
    assert run(["status", "--format", "json"]) == 3
    printed = capsys.readouterr()
    assert (printed.out, json.loads(printed.err)["title"]) == ("", "The answer is not understood")


def test_the_store_is_down(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "store").write_text("postgresql://cleanstart:hidden-word@127.0.0.1:9/store")
    config = tmp_path / "cleanstart.toml"
    config.write_text('[store]\nurl = "file:store"\n')
    assert run(["status", "--config", str(config)]) == 3
    said = capsys.readouterr().err
    assert "The store cannot be reached" in said
    assert "hidden-word" not in said


def test_a_bug_is_one_short_block(
    cli: Cli, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(project: str) -> str:
        raise ZeroDivisionError("with a secret in it")

    monkeypatch.setattr("web.cli.questions.project_of", broken)
    done = cli("history", "clinic")
    assert (done.code, done.out) == (3, "")
    assert done.err == (
        "Something went wrong: This is a mistake in Clean Start (ZeroDivisionError).\n"
        "CLEANSTART_DEBUG=1 shows where it happened.\n"
    )
    monkeypatch.setenv("CLEANSTART_DEBUG", "1")
    assert run(["history", "clinic", "--config", str(site.config)]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_goes_away(site: Site) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "web.cli", "jobs", "--config", str(site.config)],
        cwd=ROOT,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(timeout=30)


@pytest.mark.parametrize(
    ("command", "code", "stderr"),
    [
        ("--version >&-", 0, ""),
        ("--version <&- >&- 2>&-", 0, ""),
        ("status clinic/dev --config /nonexistent 2>&-", 3, ""),
        ("status clinic/dev --config /nonexistent 2>/dev/full", 3, ""),
        ("no-such-command >&- 2>&-", 3, ""),
        (
            "--version >/dev/full",
            3,
            f"There is no room: No space left on device.\n{NoRoom.hint}\n",
        ),
    ],
)
def test_streams_that_take_nothing(command: str, code: int, stderr: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m web.cli {command}'],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (code, stderr)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_ended_by_a_signal_it_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as silent:
        url = f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/x"
        process = subprocess.Popen(
            [sys.executable, "-m", "web.cli", "diff", "env:A", "env:B"],
            cwd=ROOT,
            env=clean_environment() | {"A": url, "B": url, "TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        # It connects when everything is made that has to go again.
        silent.settimeout(60)
        with silent.accept()[0]:
            assert list(tmp_path.iterdir())
            process.send_signal(number)
            said, _ = process.communicate(timeout=60)
    assert (process.returncode, said) == (128 + number, b"")
    assert list(tmp_path.iterdir()) == []


def test_questions_do_not_load_the_application() -> None:
    script = """
        import sys
        from typer.main import get_command
        from web.cli.program import program
        get_command(program())
        print(*(name for name in ("fastapi", "procrastinate", "web.operations") if name in sys.modules))
    """
    loaded = subprocess.run(
        [sys.executable, "-c", dedent(script)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (loaded.stdout.strip(), loaded.stderr) == ("", "")


@pytest.mark.parametrize(
    ("error", "acts", "code"),
    [
        (Refused(), True, 1),
        (Conflict(), True, 1),
        (NotFound(), True, 3),
        (CleanStartError(), True, 3),
        (Refused(), False, 3),
        (Conflict(), False, 3),
        (NotFound(), False, 3),
    ],
)
def test_exit_codes_of_errors(error: CleanStartError, acts: bool, code: int) -> None:
    assert exits.of_error(error, acts=acts) == code


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, -1, None, "0", True])
def test_exit_codes_of_the_server(code: object) -> None:
    told = code in (0, 1, 2) and type(code) is int
    assert exits.of_server(code) == (code if told else 3)


def test_json_errors_have_the_members_of_problems(cli: Cli) -> None:
    done = cli("history", "nowhere", "--format", "json", transport="http")
    assert json.loads(done.err) == {
        "title": "Not found",
        "status": 404,
        "detail": "There is no project “nowhere”.",
        "hint": "",
    }
