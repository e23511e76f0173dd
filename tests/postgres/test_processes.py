"""Programs: their end is seen, nothing of them stays, secrets are taken out of what they say."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from asyncio.subprocess import PIPE
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from web.errors import CommandFailed, ProgramMissing, TimeLimitExceeded
from web.postgres.processes import descendants, members, run, start, until

CANARY = "canary-91ab"
#: Ignores SIGTERM, and so does its child in another session, whose parent has ended ("double fork").
STUBBORN = textwrap.dedent(
    """
    import os, signal, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            sys.stdout.write(f"{os.getpid()}\\n")
            sys.stdout.flush()
            time.sleep(600)
        os._exit(0)
    os.wait()
    time.sleep(600)
    """
)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_output_input_and_lines() -> None:
    lines: list[str] = []

    async def keep(line: str) -> None:
        lines.append(line)

    code = "import sys; data = sys.stdin.read(); sys.stderr.write('one\\ntwo'); print(len(data))"
    done = await run(python(code), stdin=b"x" * 300_000, on_stderr_line=keep)
    assert (done.exit_code, done.stdout, lines) == (0, b"300000\n", ["one", "two"])


async def test_a_failure_carries_the_end_of_what_it_said() -> None:
    code = "import sys; sys.stderr.write('x' * 200_000 + '\\nthe reason\\n'); sys.exit(3)"
    with pytest.raises(CommandFailed, match="the reason") as caught:
        await run(python(code))
    assert caught.value.exit_code == 3
    assert len(caught.value.stderr_tail) <= 8192


async def test_secrets_are_taken_out() -> None:
    code = f"import sys; sys.stderr.write('password is {CANARY}!'); sys.exit(1)"
    with pytest.raises(CommandFailed) as caught:
        await run(["/bin/sh", "-c", f'{sys.executable} -c "{code}"'], redact=[CANARY])
    assert caught.value.stderr_tail == "password is •••!\n"


async def test_only_allowed_variables_are_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANSTART_STORE_URL", CANARY)
    done = await run(["/usr/bin/env"], env={"GIVEN": "yes"})
    assert CANARY not in done.stdout.decode()
    assert "GIVEN=yes" in done.stdout.decode().splitlines()


async def test_no_such_program() -> None:
    with pytest.raises(ProgramMissing, match="/nowhere/pg_dump"):
        await run(["/nowhere/pg_dump"])


async def test_time_limit() -> None:
    with pytest.raises(TimeLimitExceeded):
        await run(python("import time; time.sleep(600)"), time_limit=timedelta(seconds=0.3))


async def test_cancelling_ends_the_family_even_a_stubborn_one() -> None:
    program = await start(python(STUBBORN), stdout=PIPE)
    assert program.stdout is not None
    grandchild = int(await program.stdout.readline())
    assert os.getpgid(grandchild) != program.process_group
    assert await until(lambda: grandchild in {process.pid for process in descendants(program.pid)}, 10)
    began = asyncio.get_running_loop().time()
    await program.terminate(grace=0.2)
    assert asyncio.get_running_loop().time() - began < 10
    assert not members(program.process_group)
    assert not alive(grandchild)


async def test_a_cancelled_task_leaves_nothing(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        f"import os, pathlib, time; pathlib.Path({str(note)!r}).write_text(str(os.getpid())); time.sleep(600)"
    )
    task = asyncio.create_task(run(python(code)))
    assert await until(lambda: note.exists() and bool(note.read_text()), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(int(note.read_text()))


async def test_a_program_whose_output_nobody_reads_can_be_ended() -> None:
    program = await start(["/bin/sh", "-c", "while :; do echo yyyyyyyyyyyyyyyy; done"], stdout=PIPE)
    assert program.stdout is not None
    await program.stdout.readexactly(1 << 20)
    async with asyncio.timeout(10):
        await program.terminate()
    assert not members(program.process_group)


async def test_an_error_of_the_reader_ends_the_program() -> None:
    async def refuse(line: str) -> None:
        raise ZeroDivisionError(line)

    with pytest.raises(ZeroDivisionError, match="yyyy"):
        await run(["/bin/sh", "-c", "while :; do echo yyyyyyyyyyyyyyyy >&2; done"], on_stderr_line=refuse)


async def test_a_daemon_that_got_away_holds_nobody_up() -> None:
    """It keeps stderr open; the program itself has ended, so that nothing leads to the daemon any more."""
    code = "os.fork() and os._exit(0); os.setsid(); print(os.getpid(), flush=True); time.sleep(600)"
    program = await start(python(f"import os, time; {code}"), stdout=PIPE)
    assert program.stdout is not None
    daemon = int(await program.stdout.readline())
    try:
        assert await until(lambda: not alive(program.pid), 20)
        async with asyncio.timeout(10):
            await program.terminate()
    finally:
        os.kill(daemon, signal.SIGKILL)


async def test_a_daemon_that_keeps_stdout_holds_nobody_up() -> None:
    code = (
        "os.fork() and os._exit(0); os.setsid(); os.close(2); print(os.getpid(), flush=True); time.sleep(600)"
    )
    async with asyncio.timeout(30):
        done = await run(python(f"import os, time; {code}"))
    os.kill(int(done.stdout), signal.SIGKILL)


async def test_a_stopped_program_can_be_ended() -> None:
    program = await start(["/bin/sleep", "600"])
    assert await until(lambda: psutil.Process(program.pid).name() == "sleep", 20)
    psutil.Process(program.pid).suspend()
    await program.terminate()
    assert not members(program.process_group)


async def test_what_a_finished_program_left_running_is_ended() -> None:
    done = await run(["/bin/sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"])
    assert not alive(int(done.stdout))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has parent-death signals")
async def test_programs_die_with_us() -> None:
    code = textwrap.dedent(
        """
        import asyncio, sys
        from web.postgres.processes import start
        async def main():
            program = await start(["/bin/sleep", "600"])
            print(program.pid, flush=True)
            await asyncio.sleep(600)
        asyncio.run(main())
        """
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    await parent.wait()
    assert await until(lambda: not alive(pid), 10)


@pytest.mark.parametrize("turns", range(12))
async def test_a_start_that_is_cancelled_ends(turns: int) -> None:
    """At every point of it: asyncio of Python 3.11 waits for ever for pipes that were not connected yet."""
    starting = asyncio.ensure_future(start(["/bin/sleep", "600"], stdout=PIPE))
    for _ in range(turns):
        await asyncio.sleep(0)
    starting.cancel()
    ended, _ = await asyncio.wait({starting}, timeout=20)
    assert ended, "it does not end"
    if starting.cancelled():
        return
    await starting.result().terminate()
