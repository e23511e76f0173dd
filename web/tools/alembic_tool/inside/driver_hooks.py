"""Looks at every PostgreSQL session that a project's code opens, in the driver, before the first statement of its own.

Stand-alone like `alembic_runner.py`, which loads it: Python 3.7 syntax, standard library. A session on another
database than the one that the run may open is closed and refused. psycopg, psycopg2, asyncpg and pg8000 are watched;
what is beyond them (psql, other languages) is for the wall.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Set

_IDENTITY = "(SELECT system_identifier::text FROM pg_catalog.pg_control_system())"

#: One round trip: settings, and where we are.
_SET_UP = (
    "SELECT pg_catalog.pg_backend_pid(),"
    " pg_catalog.to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"'),"
    " {system},"
    " (SELECT oid::text FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()),"
    " pg_catalog.current_database()::text,"
    " pg_catalog.host(pg_catalog.inet_server_addr()) || ':' || pg_catalog.inet_server_port()::text,"
    " (SELECT pg_catalog.count(pg_catalog.set_config(s.name, v.value, false))"
    "  FROM (VALUES {values}) AS v(name, value) JOIN pg_catalog.pg_settings s ON s.name = v.name)"
    " FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a"
)


class ForeignDatabase(Exception):
    """The session is on another database than the one that this run may open."""


class Sessions:
    """The sessions of this process; `request` says which database they may be on and what is set in them."""

    def __init__(self, ask: Callable[..., None], say: Callable[..., None], request: Dict[str, Any]) -> None:
        self.ask, self.say = ask, say
        self.opens = request.get("opens")  # type: Optional[List[str]]
        self.called = request.get("called") or ""
        settings = request.get("settings") or {}
        values = ", ".join(
            "({}, {})".format(quoted(name), quoted(str(value))) for name, value in sorted(settings.items())
        )
        self.query = _SET_UP.format(values=values or "(NULL, NULL)", system=_IDENTITY)
        #: Backends that were looked at.
        self.admitted: Set[int] = set()

    def hooks(self) -> Dict[str, List[Callable[[], None]]]:
        """What to call once a driver has been imported."""
        return {
            "psycopg": [self.watch_psycopg],
            "psycopg2": [self.watch_psycopg2],
            "asyncpg": [self.watch_asyncpg],
            "pg8000": [self.watch_pg8000],
        }

    def require_some(self) -> None:
        """Raise ForeignDatabase where this run may open no session at all."""
        if self.opens is None:
            raise self.refuse("The project's code opened a session on a database; this run may open none.")

    def admit(self, row: Any) -> int:
        """Take the answer of a fresh session; its pid. Raises ForeignDatabase."""
        pid, backend_start, system, database, name, address, _ = row
        # Whoever has to end this session some day knows of it before it does anything.
        self.ask("connected", pid=pid, backend_start=backend_start)
        if [system, database] != self.opens:
            where = "at {}".format(address) if address else "on a Unix socket"
            raise self.refuse(
                "The project's code opened a session on the database “{}” {}; this run may open {} only.".format(
                    name, where, self.called
                )
            )
        self.admitted.add(pid)
        return int(pid)

    def refuse(self, sentence: str) -> ForeignDatabase:
        """The error, told at once: the project's code may swallow it."""
        self.say("failed", kind="foreign", message=sentence, sqlstate=None, revision=None, places=[])
        return ForeignDatabase(sentence)

    def unreachable(self, parameters: Callable[[], Dict[str, Any]]) -> None:
        """Tell where the code tried to connect and could not: in scratch that is how another server looks."""
        try:
            found = parameters()
        except Exception:
            return
        self.say("unreachable", **{name: str(found.get(name) or "") for name in ("host", "port", "dbname")})

    # psycopg

    def watch_psycopg(self) -> None:
        import psycopg

        sessions = self
        connect = psycopg.Connection.connect.__func__  # type: ignore[attr-defined]
        connect_async = psycopg.AsyncConnection.connect.__func__  # type: ignore[attr-defined]

        def parameters(args: Any, kwargs: Any) -> Dict[str, Any]:
            known = {name: kwargs[name] for name in ("host", "port", "dbname") if name in kwargs}
            return dict(
                psycopg.conninfo.conninfo_to_dict(args[0] if args else kwargs.get("conninfo", "")), **known
            )

        def watched(cls: Any, *args: Any, **kwargs: Any) -> Any:
            sessions.require_some()
            try:
                connection = connect(cls, *args, **kwargs)
            except psycopg.Error:
                sessions.unreachable(lambda: parameters(args, kwargs))
                raise
            try:
                with psycopg.Cursor(connection, row_factory=psycopg.rows.tuple_row) as cursor:
                    row = cursor.execute(sessions.query).fetchone()
                # Without this the settings would go with the first transaction that is rolled back.
                connection.commit()
                sessions.admit(row)
            except BaseException:
                connection.close()
                raise
            return connection

        async def watched_async(cls: Any, *args: Any, **kwargs: Any) -> Any:
            sessions.require_some()
            try:
                connection = await connect_async(cls, *args, **kwargs)
            except psycopg.Error:
                sessions.unreachable(lambda: parameters(args, kwargs))
                raise
            try:
                async with psycopg.AsyncCursor(connection, row_factory=psycopg.rows.tuple_row) as cursor:
                    await cursor.execute(sessions.query)
                    row = await cursor.fetchone()
                await connection.commit()
                sessions.admit(row)
            except BaseException:
                await connection.close()
                raise
            return connection

        setattr(psycopg.Connection, "connect", classmethod(watched))  # noqa: B010
        setattr(psycopg.AsyncConnection, "connect", classmethod(watched_async))  # noqa: B010
        psycopg.connect = psycopg.Connection.connect

    # psycopg2

    def watch_psycopg2(self) -> None:
        import psycopg2
        import psycopg2.extensions

        sessions, connect = self, psycopg2._connect

        def watched(dsn: Any, *args: Any, **kwargs: Any) -> Any:
            sessions.require_some()
            if kwargs.get("async") or kwargs.get("async_"):
                raise sessions.refuse(
                    "The project's code opens sessions that cannot be looked at: psycopg2's asynchronous ones."
                )
            try:
                connection = connect(dsn, *args, **kwargs)
            except psycopg2.Error:
                sessions.unreachable(lambda: psycopg2.extensions.parse_dsn(dsn))
                raise
            try:
                with psycopg2.extensions.cursor(connection) as cursor:
                    cursor.execute(sessions.query)
                    row = cursor.fetchone()
                connection.commit()
                sessions.admit(row)
            except BaseException:
                connection.close()
                raise
            return connection

        psycopg2._connect = watched

    # asyncpg

    def watch_asyncpg(self) -> None:
        import asyncpg
        from asyncpg import connect_utils

        sessions, connect = self, connect_utils._connect

        async def watched(*args: Any, **kwargs: Any) -> Any:
            sessions.require_some()
            try:
                connection = await connect(*args, **kwargs)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                sessions.unreachable(lambda: dict(kwargs, dbname=kwargs.get("database")))
                raise
            try:
                sessions.admit(await asyncpg.Connection.fetchrow(connection, sessions.query))
            except BaseException:
                connection.terminate()
                raise
            return connection

        connect_utils._connect = watched

    # pg8000

    def watch_pg8000(self) -> None:
        from pg8000 import core

        sessions, start = self, core.CoreConnection.__init__

        def watched(connection: Any, *args: Any, **kwargs: Any) -> None:
            sessions.require_some()
            start(connection, *args, **kwargs)
            try:
                sessions.admit(connection.execute_simple(sessions.query).rows[0])
            except BaseException:
                connection.close()
                raise

        core.CoreConnection.__init__ = watched


def pid_of_driver(connection: Any) -> Optional[int]:
    """The backend of a driver's connection, where the driver knows it without asking the server."""
    for name in ("", "driver_connection", "_connection"):
        one = getattr(connection, name, None) if name else connection
        info = getattr(one, "info", None)
        pid = getattr(info, "backend_pid", None) if info is not None else None
        if pid is None and one is not None and hasattr(one, "get_server_pid"):
            pid = one.get_server_pid()
        if isinstance(pid, int):
            return pid
    return None


def quoted(text: str) -> str:
    """A literal of SQL, whatever the session's settings are."""
    if "\\" in text or "\0" in text:
        raise ValueError("a setting may not hold a backslash")
    return "'" + text.replace("'", "''") + "'"
