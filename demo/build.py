"""Create the demo: three databases of the clinic with rows in them, and the cleanstart.toml for them.

What the builds are and where they run is in `checkouts`; registering them is left to the caller.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from psycopg import sql

from web.postgres.connections import Connection, connect, parameters, sqlalchemy_url
from web.postgres.processes import run
from web.postgres.urls import libpq_url
from web.walls.layers import find_layers

HERE = Path(__file__).parent
CLINIC = HERE / "clinic"
#: Owns the databases and all in them, and may make another beside them; no superuser: production is on the same server.
OWNER = "clinic_app"
#: Staging's own, which may make none: what needs that says so there.
STAGING_OWNER = "clinic_staging_app"
#: By role, whether it may create databases.
ROLES = {OWNER: sql.SQL("CREATEDB"), STAGING_OWNER: sql.SQL("NOCREATEDB")}
#: The revision at which the databases are filled; production stays there.
FILLED_AT = "7be5a90f13d6"
#: Taken on the maintenance database while the demo is made, so that two starts do not make it twice.
LOCK = 7_046_581_302

Report = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class DemoDatabase:
    """One of the three databases: how much is in it, where it stands, what was done to it by hand."""

    environment: str
    patients: int
    revision: str
    by_hand: Path | None = None
    owner: str = OWNER

    @property
    def name(self) -> str:
        return f"clinic_{self.environment}"

    @property
    def unfinished(self) -> str:
        """Its name until it is whole, so that a database of the right name is never half made."""
        return f"{self.name}_unfinished"


DATABASES = (
    DemoDatabase("dev", 400, "1c7f5e8d2a46"),
    DemoDatabase("staging", 6_000, "f4128cd06b97", HERE / "hotfix.sql", owner=STAGING_OWNER),
    DemoDatabase("production", 12_000, FILLED_AT),
)


@dataclass(frozen=True, slots=True)
class Maker:
    """How one unfinished database is reached: as superuser and as its owner; and what migrates it."""

    superuser_url: str
    owner_url: str
    python: Path
    source: Path

    async def upgrade(self, revision: str) -> None:
        ini = self.source / "backend" / "alembic.ini"
        # -P: the folder of alembic.ini has a folder named alembic.
        argv = (str(self.python), "-P", "-m", "alembic", "-c", str(ini), "upgrade", revision)
        await run(argv, env={"DATABASE_URL": sqlalchemy_url(self.owner_url)}, cwd=ini.parent)

    async def finish(self, database: DemoDatabase) -> None:
        async with connect(
            self.superuser_url, settings={"demo.patients": str(database.patients)}
        ) as connection:
            await connection.execute((HERE / "fill.sql").read_bytes())
        if database.revision != FILLED_AT:
            await self.upgrade(database.revision)
        if database.by_hand:
            async with connect(self.owner_url) as connection:
                await connection.execute(database.by_hand.read_bytes())
        async with connect(self.superuser_url) as connection:
            await connection.execute("ANALYZE")


@dataclass(frozen=True, slots=True)
class Demo:
    """What `create` made or found."""

    configuration: Path
    #: The databases that were made now; empty when all were there.
    created: tuple[str, ...]


async def create(
    server_url: str,
    directory: Path,
    python: Path,
    *,
    source: Path = CLINIC,
    writable: bool = False,
    report: Report | None = None,
) -> Demo:
    """Make what is missing of the demo, keep what is there, and write its configuration into `directory`.

    `server_url` is the maintenance database of the demo's server, as a superuser. `python` is an interpreter
    with alembic, sqlalchemy and psycopg. Secrets go into files that only this user can read. `writable` declares that
    a clean start may write into the source, which then has to be the demo's own.
    """
    # Not resolved: the interpreter of a virtual environment is a link, and finds its packages beside it.
    directory, python, source = directory.absolute(), python.absolute(), source.absolute()
    server = parameters(server_url)
    passwords = {role: _password(directory / "secrets" / f"{role}_password") for role in ROLES}
    makers = {
        database.environment: Maker(
            libpq_url({**server, "dbname": database.unfinished}),
            libpq_url({**server, **_login(database.owner, passwords), "dbname": database.unfinished}),
            python,
            source,
        )
        for database in DATABASES
    }
    async with connect(server_url) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        major = connection.info.server_version // 10_000
        for role, password in passwords.items():
            await _ensure_role(connection, role, password)
        missing = await _missing(connection)
        if missing:
            if report:
                await report(f"Creating {', '.join(database.name for database in missing)}")
            await _create_databases(connection, missing, makers)
        owners = await _owners(connection)
    urls = {database.environment: directory / "secrets" / f"{database.name}_url" for database in DATABASES}
    for database in DATABASES:
        owner = owners[database.name]
        # One that an older demo made may be owned by a role that is made no more.
        login = _login(owner, {owner: _password(directory / "secrets" / f"{owner}_password")})
        _write(urls[database.environment], libpq_url({**server, **login, "dbname": database.name}))
    configuration = directory / "cleanstart.toml"
    _write(configuration, _configuration(directory, python, source, major, urls, writable=writable))
    return Demo(configuration, tuple(database.name for database in missing))


def _login(role: str, passwords: Mapping[str, str]) -> dict[str, str]:
    return {"user": role, "password": passwords[role]}


async def _owners(connection: Connection) -> dict[str, str]:
    """Who owns each database: one that an older demo made may have another owner than it would have now."""
    rows = await connection.execute("SELECT datname, pg_get_userbyid(datdba)::text FROM pg_database")
    return dict(await rows.fetchall())


async def _ensure_role(connection: Connection, role: str, password: str) -> None:
    found = await (await connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,))).fetchone()
    # The server is given the verifier, so that the password cannot end up in its log.
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    await connection.execute(
        sql.SQL("{} ROLE {} LOGIN NOSUPERUSER {} NOCREATEROLE PASSWORD {}").format(
            sql.SQL("CREATE" if found is None else "ALTER"), sql.Identifier(role), ROLES[role], verifier
        )
    )


async def _missing(connection: Connection) -> tuple[DemoDatabase, ...]:
    rows = await (await connection.execute("SELECT datname FROM pg_database")).fetchall()
    there = {name for (name,) in rows}
    return tuple(database for database in DATABASES if database.name not in there)


async def _create_databases(
    connection: Connection, missing: Sequence[DemoDatabase], makers: Mapping[str, Maker]
) -> None:
    for database in missing:
        await connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(database.unfinished))
        )
    # All of an owner's are the same up to the revision at which they are filled: migrate one, copy it.
    firsts = {database.owner: database for database in reversed(missing)}
    for first in firsts.values():
        await connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(first.unfinished), sql.Identifier(first.owner)
            )
        )
    await _together(makers[first.environment].upgrade(FILLED_AT) for first in firsts.values())
    for database in missing:
        if (first := firsts[database.owner]) is not database:
            await connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                    *map(sql.Identifier, (database.unfinished, database.owner, first.unfinished))
                )
            )
    await _together(makers[database.environment].finish(database) for database in missing)
    for database in missing:
        await connection.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                sql.Identifier(database.unfinished), sql.Identifier(database.name)
            )
        )


async def _together(steps: Iterable[Coroutine[None, None, None]]) -> None:
    """Take steps at the same time; the first that fails ends the others and is raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for step in steps:
                tasks.create_task(step)
    except BaseExceptionGroup as failures:
        failure = failures.exceptions[0]
        raise failure from failure.__cause__


def _password(file: Path) -> str:
    if not file.is_file():
        _write(file, secrets.token_urlsafe(24))
    return file.read_text(encoding="utf-8").strip()


def _write(file: Path, text: str) -> None:
    """Replace a file as a whole; only this user can read it."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(
        os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as stream:
        stream.write(text)
    new.replace(file)


def _configuration(
    directory: Path, python: Path, source: Path, major: int, urls: Mapping[str, Path], *, writable: bool
) -> str:
    values = {
        "data_directory": str(directory),
        "source": str(source),
        "python": str(python),
        **{f"{environment}_url": f"file:{file}" for environment, file in urls.items()},
    }
    # JSON's text is TOML's basic string.
    quoted = {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
    return Template((HERE / "cleanstart.toml.in").read_text(encoding="utf-8")).substitute(
        quoted, major=major, wall=_wall(), writable=str(writable).lower()
    )


def _wall() -> str:
    """What the configuration says of the wall around project code: nothing, where this machine has one."""
    if find_layers().kind != "none":
        return ""
    why = "# There is no wall around project code on this machine (docs/walls.md), and this code is known."
    return f"{why}\nwithout_wall = true\n"
