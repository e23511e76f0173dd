"""What the driver's errors mean, in our own: translated once, without secrets.

The connection phase has no SQLSTATE (psycopg 3.3), only libpq's text, so that is read there; a server that
speaks another language still gets its own words shown, only the hint is lost.
"""

from __future__ import annotations

import re

import psycopg

from web.errors import (
    CleanStartError,
    LockTimeout,
    OperationFailed,
    PrivilegeMissing,
    ReadOnlyDatabase,
    TargetUnavailable,
)
from web.postgres.urls import redacted, secrets_of

#: What libpq or the server say while connecting → SQLSTATE (where there is one), hint.
_CONNECTING: tuple[tuple[str, str | None, str], ...] = (
    (
        r"password authentication failed|no password supplied",
        "28P01",
        "Check the user and the password of the URL.",
    ),
    (r'role ".*" does not exist', "28000", "Check the user of the URL; the server has no such role."),
    (
        r"no pg_hba\.conf entry|is not permitted to log in",
        "28000",
        "The server does not let this user in from here.",
    ),
    (r'database ".*" does not exist', "3D000", "Check the name of the database in the URL."),
    (
        r"is not currently accepting connections",
        "55000",
        "The database was closed with ALLOW_CONNECTIONS false.",
    ),
    (r'permission denied for database "', "42501", "Grant CONNECT on the database to this user."),
    (
        r"too many (clients|connections)|remaining connection slots",
        "53300",
        "The server has no free connection slot.",
    ),
    (
        r"the database system is (starting up|shutting down|in recovery mode|not yet accepting)",
        "57P03",
        "Try again shortly.",
    ),
    (r"Connection refused", None, "Is the server running, and is it listening at this host and port?"),
    (r"No such file or directory", None, "Is the server running, and is its socket in this folder?"),
    (
        r"could not translate host name|[Nn]ame or service not known|failed to resolve host",
        None,
        "Check the host in the URL.",
    ),
    (
        r"timeout expired|[Tt]imed out|connection timeout",
        None,
        "The host does not answer; check the network and firewalls.",
    ),
    (r"SSL|certificate", None, "Check sslmode and the certificates."),
)
_PREFIX = re.compile(r"^(?:connection failed: |connection is bad: )+")


def describe_error(error: psycopg.Error, url: str | None = None) -> CleanStartError:
    """Translate a driver error into ours, with the server's own words and no secret.

    Connection trouble becomes TargetUnavailable; missing privileges, read-only databases and lock time-outs
    have classes of their own; everything else that the server refuses is OperationFailed with its SQLSTATE.
    """
    state = error.sqlstate
    text = clean(error.diag.message_primary or str(error), url)
    where = f" ({redacted(url)})" if url else ""
    if state is None and isinstance(error, psycopg.OperationalError):
        return _unavailable(text, where)
    if state is None:
        return OperationFailed(text)
    if state == "57P01":
        ended = "Somebody ended this session, or the server shuts down. Try again."
        return TargetUnavailable(f"{text}{where}", sqlstate=state, hint=ended)
    if state[:2] in ("08", "28", "3D", "53", "57") and state != "57014":
        return TargetUnavailable(f"{text}{where}", sqlstate=state)
    if state == "42501":
        return PrivilegeMissing(text, sqlstate=state)
    if state == "25006":
        return ReadOnlyDatabase(text)
    if state == "55P03":
        return LockTimeout(text)
    return OperationFailed(f"{text} (SQLSTATE {state})")


def clean(text: str, url: str | None) -> str:
    """Return the first line of a foreign message without prefix and without any secret of the URL."""
    line = _PREFIX.sub("", text.strip()).splitlines()[0] if text.strip() else "no message"
    for secret in secrets_of(url) if url else ():
        line = line.replace(secret, "•••")
    return line


def _unavailable(text: str, where: str) -> TargetUnavailable:
    for pattern, state, hint in _CONNECTING:
        if re.search(pattern, text):
            return TargetUnavailable(f"{text}{where}", sqlstate=state, hint=hint)
    return TargetUnavailable(f"{text}{where}")
