"""Starts the runner in the project's interpreter, follows it to its end and sees it gone.

What it reports is left to `web.tools.conversation`, what its end means to each tool.
"""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

from web.errors import OperationFailed
from web.postgres.processes import RunningProgram, start
from web.tools.confinement import Confinement
from web.tools.conversation import LONGEST_LINE, Conversation, ReportInvalid, Run
from web.tools.events import Acknowledge, Launched, OnEvent
from web.tools.redaction import redaction

#: How the request reaches the runner; the same name as in what runs there.
VARIABLE = "CLEANSTART_RUNNER"
#: After the command came to its end, the process may take this long to go.
LINGER = 10.0
#: After the process has gone, pipes on which nothing came for so long are held open by somebody else.
HELD_OPEN = 1.0
_REPORT_LIMIT = 32 << 20


class ReportsGarbled(OperationFailed):
    """The project's code wrote into the pipe on which its run is reported, so what it did is not known from there."""

    title = "The run cannot be followed"
    hint = (
        "Something in the project's code or its commands writes to a file descriptor that it did not open. What was "
        "committed stands in the database."
    )


async def run(
    confinement: Confinement,
    argv: Sequence[str],
    request: Mapping[str, object],
    *,
    url: str | None,
    env: Mapping[str, str],
    cwd: Path,
    time_limit: timedelta,
    on_event: OnEvent,
    acknowledge: Acknowledge | None = None,
    at_time_limit: Callable[[], Awaitable[None]] | None = None,
    known: Run | None = None,
) -> Run:
    """Run the program to its end, or end it at its time limit. Whatever it started is gone afterwards.

    `url` is handed to the runner on its control pipe. `at_time_limit` is awaited before the program is ended
    for having taken too long. `known` is filled while it runs, for a caller that is
    cancelled. An exception of `on_event` or `acknowledge` ends the program and comes out of here.
    """
    state = known or Run()
    async with _pipes() as (reports, reports_fd, control_fd, say):
        opens = confinement.opens
        given = {
            **request,
            "reports": reports_fd,
            "control": control_fd,
            "opens": opens and [opens.identity.system_identifier, str(opens.identity.database_oid)],
            "called": opens.called if opens is not None else None,
        }
        conversation = Conversation(state, say, redaction(confinement.secrets), on_event, acknowledge)
        try:
            program = await start(
                argv,
                env={**env, VARIABLE: json.dumps(given)},
                wall=confinement.wall,
                cwd=cwd,
                stdout=PIPE,
                pass_fds=(reports_fd, control_fd),
                on_stderr_line=conversation.hear,
                redact=confinement.secrets,
            )
        finally:
            # From here on only the program holds its ends, so that its end is seen.
            os.close(reports_fd)
            os.close(control_fd)
        async with program:
            await conversation.tell(Launched(program.process_group))
            say({"url": url})
            try:
                async with asyncio.timeout(time_limit.total_seconds()):
                    await _listen(program, reports, conversation)
            except TimeoutError:
                state.timed_out = True
                if at_time_limit is not None:
                    await at_time_limit()
                await program.terminate()
            state.stderr_tail = program.stderr_tail
    return state


async def _listen(program: RunningProgram, reports: asyncio.StreamReader, talk: Conversation) -> None:
    """Follow reports and output until the program is gone; the first error among them comes out."""
    try:
        async with asyncio.TaskGroup() as group:
            following = [
                group.create_task(_follow_reports(reports, talk)),
                group.create_task(_follow_output(program, talk)),
            ]
            writing = group.create_task(talk.write_log())
            group.create_task(_see_it_end(program, talk, following))
            await asyncio.wait(following)
            talk.end_log()
            await writing
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _see_it_end(
    program: RunningProgram, talk: Conversation, following: Sequence[asyncio.Task[None]]
) -> None:
    waiting = asyncio.ensure_future(program.wait(check=False))
    ended = asyncio.ensure_future(talk.ended.wait())
    ended_by_us = False
    try:
        await asyncio.wait([waiting, ended], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([waiting], timeout=LINGER)
        if not waiting.done():
            # Its work is done; something that it started (a thread, a child) holds the process, or its output.
            ended_by_us = True
            await program.terminate()
        talk.run.exit_code = (await waiting).exit_code
        talk.run.lingered = ended_by_us and talk.run.exit_code != 0
    finally:
        ended.cancel()
        waiting.cancel()
    # All that it wrote is taken; what left the process group may hold the pipes open, and nobody waits for that.
    while True:
        before = talk.taken
        _, open_ones = await asyncio.wait(following, timeout=HELD_OPEN)
        if not open_ones or (talk.taken == before and not talk.busy):
            break
    for task in following:
        task.cancel()


async def _follow_reports(reports: asyncio.StreamReader, talk: Conversation) -> None:
    """Take the reports one by one. Raises ReportsGarbled: the project's code can write there too."""
    while True:
        try:
            line = await reports.readline()
            record = json.loads(line) if line else None
        except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, a line without end
            raise ReportsGarbled from error
        if record is None:
            return
        if not isinstance(record, dict):
            raise ReportsGarbled
        try:
            await talk.take(record)
        except ReportInvalid as error:
            raise ReportsGarbled from error


async def _follow_output(program: RunningProgram, talk: Conversation) -> None:
    assert program.stdout is not None
    rest = b""
    while chunk := await program.stdout.read(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        for line in lines:
            await talk.hear(line.decode(errors="replace").rstrip("\r"))
    if rest:
        await talk.hear(rest.decode(errors="replace"))


@asynccontextmanager
async def _pipes() -> AsyncIterator[
    tuple[asyncio.StreamReader, int, int, Callable[[Mapping[str, object]], None]]
]:
    """The pipe for reports (we read) and the one for answers (we write), with the program's two ends."""
    reports_in, reports_out = os.pipe()
    control_in, control_out = os.pipe()
    reader = asyncio.StreamReader(limit=_REPORT_LIMIT)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reports_in, "rb", 0)
    )

    def say(answer: Mapping[str, object]) -> None:
        # Shorter than a pipe holds, so this does not block; a program that is gone is noticed elsewhere.
        with suppress(BrokenPipeError):
            os.write(control_out, json.dumps(answer).encode() + b"\n")

    try:
        yield reader, reports_out, control_in, say
    finally:
        transport.close()
        os.close(control_out)
