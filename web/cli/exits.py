"""Exit codes: a promise to scripts, which the tests hold as a table."""

from __future__ import annotations

from web.errors import CleanStartError

#: Yes: in sync, gate open, no drift, the job succeeded, the thing was done.
YES = 0
#: No: pending, gate closed, drift, the job failed, the request was refused and nothing was done.
NO = 1
#: `check` alone: ahead, diverged, edited, several heads, unknown revision, before the clean start.
OTHERWISE = 2
#: It could not be told: usage, configuration, connection and internal errors, an unknown outcome.
CANNOT_TELL = 3
#: Ctrl-C, as shells write it.
INTERRUPTED = 130

#: Exit code by the state that a job ended in.
OF_JOB = {"succeeded": YES, "failed": NO, "cancelled": NO, "not done": NO, "unknown": CANNOT_TELL}


def of_signal(number: int) -> int:
    """The exit code of who was asked to end by a signal (143 for SIGTERM), as shells write it."""
    return 128 + number


def of_error(error: CleanStartError, *, acts: bool) -> int:
    """The exit code of an error. Only an act can be refused; a question that has no answer could not be told."""
    return NO if acts and error.status in (403, 409) else CANNOT_TELL


def of_server(code: object) -> int:
    """The server's own exit code for an answer; one that we do not know tells nothing."""
    return code if type(code) is int and code in (YES, NO, OTHERWISE) else CANNOT_TELL
