"""Bad input: what is wrong, with what, and what to do next; nothing lost, no secret told, no traceback."""

from __future__ import annotations

import html
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.acceptance.installation import Installation, installed, query
from tests.conftest import fresh_database
from tests.interpreter import project_python
from tests.operations.conftest import Site, copies, outcome, site
from tests.small_disk import small_disk
from tests.tools.foreign import foreign
from tests.tools.written import execute, migration, write_project
from web.answers.environment import view
from web.config import Backups
from web.operations.backup import BACKUP
from web.operations.migrate import MIGRATE
from web.operations.observe import OBSERVE
from web.operations.verify import VERIFY
from web.postgres.connections import parameters
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchServers
from web.postgres.urls import libpq_url

__all__ = ["copies", "site"]

pytestmark = pytest.mark.xdist_group("acceptance of bad input")

#: Part of every password here; it must not appear anywhere else.
CANARY = "kanarie-7f3b"
OWNER = "bad_input_owner"
STRANGER = "bad_input_stranger"
USERS = execute(
    "CREATE TABLE users (id int PRIMARY KEY, email text)", "INSERT INTO users VALUES (1, 'a'), (2, 'a')"
)
HALF = """
op.execute('CREATE TABLE tenants (id int)')
op.execute('SELECT 1 / 0')
"""
HALF_COMMITTED = """
op.execute('ALTER TABLE users ADD COLUMN tenant int')
with op.get_context().autocommit_block():
    op.execute('CREATE UNIQUE INDEX CONCURRENTLY users_email ON users (email)')
"""
SOURCES = {
    "shop": {
        "a": migration("a", None, USERS),
        "b": migration("b", "a", execute("CREATE TABLE tenants (id int)")),
    },
    "half": {"a": migration("a", None, USERS), "b": migration("b", "a", HALF)},
    "committed": {"a": migration("a", None, USERS), "b": migration("b", "a", HALF_COMMITTED)},
    "interpreter": {"a": migration("a", None, USERS)},
}


#: Where a person goes on in spite of what the rehearsal said.
REHEARSED_IN_VAIN = ("half/dev", "committed/dev")


@dataclass
class Ward:
    """An installation whose environments all have something wrong with them."""

    cleanstart: Installation
    server: EmbeddedServer
    urls: dict[str, str]
    origin: str = ""
    pages: list[str] = field(default_factory=list)
    argv: set[str] = field(default_factory=set)

    def page(self, path: str) -> str:
        """A page as a browser gets it."""
        answer = httpx.get(self.origin + path, headers={"Accept": "text/html"}, timeout=30)
        self.pages.append(answer.text)
        assert answer.status_code < 500, answer.text
        return answer.text

    def status(self, where: str) -> dict[str, Any]:
        answer = self.cleanstart("status", where, "--format", "json")
        assert answer.code == 0, answer
        found: dict[str, Any] = answer.json
        return found


def database(stack: ExitStack, server: EmbeddedServer) -> str:
    """A fresh database that belongs to the owner with the secret password; its URL."""
    url = stack.enter_context(fresh_database(server))
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    query(url, f'ALTER DATABASE "{name}" OWNER TO {OWNER}')
    query(url, "ALTER SCHEMA public OWNER TO " + OWNER)
    return libpq_url({**parameters(url), "user": OWNER, "password": f"{CANARY}-owner"})


def make_roles(server: EmbeddedServer) -> None:
    for role, password in ((OWNER, f"{CANARY}-owner"), (STRANGER, f"{CANARY}-stranger")):
        query(server.url(), f"DROP ROLE IF EXISTS {role}")
        query(server.url(), f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")


def changed(url: str, **values: str) -> str:
    return libpq_url({**parameters(url), **values})


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture(scope="module")
def ward(cleanstart: Installation, server: EmbeddedServer) -> Iterator[Ward]:
    with ExitStack() as stack:
        make_roles(server)
        sound = {
            name: database(stack, server)
            for name in (
                "shop/good", "shop/read-only", "shop/dropped", "shop/no-table", "shop/unknown", "shop/stranger",
                "half/dev", "committed/dev", "bare/dev", "interpreter/dev",
            )
        }  # fmt: skip
        urls = {
            **sound,
            "shop/unreachable": changed(sound["shop/good"], host="127.0.0.1", port=closed_port()),
            "shop/password": changed(sound["shop/good"], password=f"{CANARY}-wrong"),
            "shop/stranger": changed(sound["shop/stranger"], user=STRANGER, password=f"{CANARY}-stranger"),
        }
        name = parameters(urls["shop/read-only"])["dbname"]
        query(server.url(), f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        query(urls["shop/no-table"], "CREATE TABLE by_hand (id int)")
        query(urls["shop/unknown"], "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        query(urls["shop/unknown"], "INSERT INTO alembic_version VALUES ('feedface')")
        query(sound["shop/stranger"], "CREATE TABLE theirs (id int)")
        configure(cleanstart, server, urls)
        cleanstart.work()
        found = Ward(cleanstart, server, urls, cleanstart.serve())
        jobs = [cleanstart.start_job("observe", where) for where in urls]
        assert {cleanstart.finished(job)["state"] for job in jobs} == {"succeeded"}
        for where in REHEARSED_IN_VAIN:
            assert cleanstart.do("rehearse", where)["state"] == "failed"
        watching = threading.Event()
        watcher = threading.Thread(target=watch_argv, args=(found, watching))
        watcher.start()
        try:
            yield found
        finally:
            watching.set()
            watcher.join()


def configure(cleanstart: Installation, server: EmbeddedServer, urls: dict[str, str]) -> None:
    projects: dict[str, Any] = {}
    for where, url in urls.items():
        project, _, name = where.partition("/")
        folder = cleanstart.folder / project
        if project not in projects:
            write_project(folder, SOURCES.get(project, {}))
            projects[project] = {
                "source": str(folder),
                "alembic": {
                    "config": "alembic.ini",
                    "python": str(foreign("empty").python if project == "interpreter" else project_python()),
                    "url_variable": "DATABASE_URL",
                    "url_driver": "postgresql+psycopg",
                },
                "environments": {},
            }
        projects[project]["environments"][name] = {
            "url": cleanstart.secret(where.replace("/", "-"), url), "tier": "development", "reset": {},
        }  # fmt: skip
    for file in (cleanstart.folder / "bare" / "migrations" / "versions").iterdir():
        file.unlink()
    cleanstart.configure(projects, scratch={"17": cleanstart.secret("scratch", server.url())})


def watch_argv(ward: Ward, stop: threading.Event) -> None:
    """Keep the arguments of processes that hold the canary: anybody on the machine can read them."""
    while not stop.wait(0.25):
        for process in Path("/proc").glob("[0-9]*"):
            try:
                argv = (process / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if CANARY in argv and str(os.getpid()) != process.name:
                ward.argv.add(argv.replace("\0", " ")[:300])


@dataclass(frozen=True)
class Seen:
    """What a look at an environment finds: the verdict, what is said, what to do next."""

    verdict: str
    says: str
    hint: str = ""
    #: What pages say, where it is not the same.
    shows: str = ""


SEEN = {
    "shop/unreachable": Seen("unreachable", "Connection refused", "Is the server running"),
    "shop/password": Seen("unreachable", "password authentication failed for user", "Check the user and the password"),
    "shop/unknown": Seen(
        "unknown revision",
        "feedface, which no migration of the project has",
        shows="feedface stands in the version table",
    ),
    "shop/no-table": Seen("pending", "none has ever been applied", shows="Never migrated"),
    "bare/dev": Seen("not known", "There are no migrations in"),
}  # fmt: skip


@pytest.mark.parametrize("where", SEEN)
def test_what_a_look_finds(ward: Ward, where: str) -> None:
    seen, expected = ward.status(where), SEEN[where]
    assert seen["verdict"] == expected.verdict
    assert expected.says in seen["sentence"]
    error = seen["observation"]["error"]
    assert expected.hint in (error["hint"] if error else "")
    # What is wrong with the database stands on every tab, what is wrong with its revisions on that of the migrations.
    tab = "" if error else "/migrations"
    page = html.unescape(ward.page(f"/projects/{where.replace('/', '/environments/')}{tab}"))
    assert (expected.shows or expected.says) in page
    assert expected.hint in page


@dataclass(frozen=True)
class Refusal:
    """What comes of a job: everything that its end has to say, and what to do next."""

    kind: str
    where: str
    says: tuple[str, ...]
    hint: str


REFUSALS = [
    Refusal("migrate", "shop/unreachable", ("Connection refused",), "Check again once it can be reached"),
    Refusal("migrate", "shop/password", ("password authentication failed",), "Check again once it can be reached"),
    Refusal("backup", "shop/password", ("never been reached",), "it says why"),
    Refusal(
        "migrate", "shop/read-only", ("default_transaction_read_only is on", OWNER), "Point the URL at the primary"
    ),
    Refusal(
        "reset", "shop/read-only", ("default_transaction_read_only is on", OWNER), "Point the URL at the primary"
    ),
    Refusal(
        "migrate", "shop/stranger", ("permission denied for schema public", "rolled back"),
        "Grant the environment's role what it lacks",
    ),
    Refusal("backup", "shop/stranger", (f"{STRANGER} may not read public.theirs",), f"Grant {STRANGER} SELECT"),
    Refusal("reset", "shop/stranger", (f"{STRANGER} may not drop table public.theirs",), "the role that owns"),
    Refusal("migrate", "shop/unknown", ("feedface",), "stamp the database"),
    Refusal("migrate", "bare/dev", ("There are no migrations in",), "Put that right"),
    Refusal(
        "migrate", "half/dev", ("Revision b failed: division by zero.", "rolled back", "at no revision"), "Correct it"
    ),
    Refusal(
        "migrate", "committed/dev",
        (
            "Revision b failed: could not create unique index", "The database is at a.", "b is half applied",
            "Committed of b: ALTER TABLE users ADD COLUMN tenant int", "Invalid indexes: public.users_email",
        ),
        "Drop public.users_email",
    ),
    Refusal("migrate", "interpreter/dev", ("empty/bin/python has no Alembic",), "Install the project's dependencies"),
]  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda each: f"{each.kind} {each.where}")
def test_a_job_that_cannot_be_done(ward: Ward, refusal: Refusal) -> None:
    if refusal.kind == "reset":
        store_verified_backup(ward, refusal.where)
    before = contents(ward, refusal.where)
    options = ["--confirm", refusal.where] if refusal.kind == "reset" else []
    if refusal.where in REHEARSED_IN_VAIN:
        warned = ward.cleanstart(refusal.kind, refusal.where, "--wait")
        assert (warned.code, refusal.says[0].rstrip(".") in warned.text) == (1, True), warned
        options = ["--despite-failed-rehearsal", "The rows there are others."]
    answer = ward.cleanstart(refusal.kind, refusal.where, *options, "--wait")
    assert answer.code == 1, answer
    for words in refusal.says:
        assert words in answer.text
    assert refusal.hint in answer.text
    if refusal.where != "committed/dev":
        assert contents(ward, refusal.where) == before
    if (number := re.search(r"^Job (\d+) \(", answer.out)) is not None:
        page = html.unescape(ward.page(f"/jobs/{number[1]}"))
        assert all(words in page for words in refusal.says)
        assert refusal.hint in page


def contents(ward: Ward, where: str) -> list[tuple[Any, ...]]:
    """Every relation of the database behind an environment, its rows counted."""
    url = ward.server.url(parameters(ward.urls[where])["dbname"])
    names = [
        row[0]
        for row in query(url, "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND oid > 16384")
    ]
    return [(name, *query(url, f"SELECT count(*) FROM {name}")) for name in sorted(names)]


def store_verified_backup(ward: Ward, where: str) -> None:
    """As if somebody with more rights had made it."""
    project, _, name = where.partition("/")
    ward.cleanstart.ask(
        "INSERT INTO backup (id, environment_id, key, size, sha256, manifest_version, manifest, state, created_at, "
        "verified_at) SELECT gen_random_uuid(), id, 'k' || id, 1, repeat('0', 64), 1, '{}', 'verified', now(), now() "
        "FROM environment WHERE project = %s AND name = %s ON CONFLICT DO NOTHING",
        project,
        name,
    )


def test_a_database_dropped_while_its_page_is_open(ward: Ward) -> None:
    where = "shop/dropped"
    page = f"/projects/{where.replace('/', '/environments/')}"
    assert "2 pending" in ward.page(page)
    name = parameters(ward.urls[where])["dbname"]
    query(ward.server.url(), f'DROP DATABASE "{name}" WITH (FORCE)')
    number = ward.cleanstart.start_job("backup", where)
    assert ward.cleanstart.finished(number)["state"] == "failed"
    assert f'database "{name}" does not exist' in html.unescape(ward.page(f"/jobs/{number}"))
    ward.cleanstart.succeed("observe", where)
    seen = ward.status(where)
    assert seen["verdict"] == "unreachable"
    assert seen["observation"]["error"]["hint"] == "Check the name of the database in the URL."
    for tab in ("", "/migrations", "/drift", "/backups", "/jobs"):
        assert "Unreachable" in ward.page(page + tab)
    assert f'database "{name}" does not exist' in html.unescape(ward.page(page))


#: What is written in place of what, and the key that is named.
TYPOS = {
    "a key": ('"source" = ', '"souce" = ', "souce"),
    "a value": ('"tier" = "development"', '"tier" = "develpment"', "tier"),
    "a table": ("[projects.shop.environments.good]", "[projects.shop.enviroments.good]", "enviroments"),
    "a password": ('"url" = ', f'"url" = "postgresql://ada:{CANARY}@db/shop" # ', "url"),
}


@pytest.mark.parametrize(
    "command", [("serve",), ("worker",), ("status",), ("observe", "shop/good")], ids=" ".join
)
@pytest.mark.parametrize("typo", TYPOS)
def test_a_typo_in_the_configuration(ward: Ward, typo: str, command: tuple[str, ...]) -> None:
    """File, line, key and what was expected; the password that somebody wrote there is not repeated."""
    right, wrong, key = TYPOS[typo]
    lines = (
        ward.cleanstart.config.read_text()
        .replace('["projects"."shop"."environments"."good"]', TYPOS["a table"][0])
        .splitlines()
    )
    number = max(at for at, line in enumerate(lines) if right in line)
    lines[number] = lines[number].replace(right, wrong)
    file = ward.cleanstart.folder / "typo.toml"
    file.write_text("\n".join(lines))
    answer = ward.cleanstart(*command, config=file)
    assert answer.code == 3
    assert re.search(rf"{re.escape(str(file))}:{number + 1}: [\w.]*{key}: \w", answer.err), answer
    assert CANARY not in answer.err


def test_a_port_in_use(ward: Ward) -> None:
    port = ward.origin.rpartition(":")[2]
    process = ward.cleanstart.start("serve", "--port", port)
    assert process.wait(timeout=30) == 3
    assert f"Something else listens on 127.0.0.1:{port}." in ward.cleanstart.log_tail()
    assert f"--port {int(port) + 1}" in ward.cleanstart.log_tail()


def test_no_live_worker(ward: Ward, server: EmbeddedServer, store_template: str, tmp_path: Path) -> None:
    """A job waits, and everybody who looks is told why."""
    with installed(server, store_template, tmp_path) as idle:
        idle.config.write_text(
            ward.cleanstart.config.read_text().replace(
                str(ward.cleanstart.folder / "store"), str(tmp_path / "store")
            )
        )
        idle.secret("store", idle.store.url)
        idle.secret("store-owner", idle.store.owner_url)
        origin = idle.serve()
        number = idle.start_job("observe", "shop/good")
        for path in ("/", "/projects/shop/environments/good", f"/jobs/{number}"):
            page = httpx.get(origin + path, timeout=30).text
            assert "No worker is alive" in page
            assert "cleanstart worker" in page
        assert "No worker is alive" in idle("status").text
        assert idle.job(number)["state"] == "queued"


async def test_a_full_disk(site: Site, tmp_path: Path) -> None:
    """The backup fails and says so; what was there stays, what was begun is gone; with space it works again."""
    site.query(
        "CREATE TABLE big AS SELECT gen_random_uuid() AS a, gen_random_uuid() AS b FROM generate_series(1, 4e5)"
    )
    await site.observe()
    space = site.configuration.backups
    with small_disk(tmp_path / "disk") as disk:
        site.configuration = replace(site.configuration, backups=Backups(location=str(disk)))
        job = await site.run(BACKUP)
        left = [file for file in disk.rglob("*") if file.is_file()]
    assert job.state == "failed"
    said = outcome(job)
    assert (said["title"], said["error"]["type"]) == ("No space left for the backup", "PlaceFull")
    assert "Make space or give backups another place" in said["next_step"]
    assert left == []
    site.configuration = replace(site.configuration, backups=space)
    assert (await site.run(BACKUP)).state == "succeeded"


async def test_pg_dump_older_than_the_server(site: Site, programs: tuple[Programs, ...]) -> None:
    await site.observe()
    site.resources = replace(site.resources, programs=tuple(one for one in programs if one.major == 15))
    said = outcome(await site.run(BACKUP))
    assert "The server is PostgreSQL 17, and the client programs found are older (15." in said["account"]
    assert "postgresql-client-17" in said["next_step"]


async def test_no_scratch_server_of_the_major(site: Site) -> None:
    """Could not compare: never drift, and not “no drift” either."""
    site.resources = replace(site.resources, scratch=ScratchServers(site.folder / "none", {}, ()))
    assert (await site.run(OBSERVE)).state == "succeeded"
    assert (await site.run(MIGRATE)).state == "succeeded"
    site.query("ALTER TABLE users ADD COLUMN by_hand int")
    said = outcome(await site.run(OBSERVE))
    assert said["data"]["drift"] == "not compared"
    assert "Not compared" in said["account"]
    async with site.store.connect() as connection:
        seen = await view(connection, site.configuration, "clinic", "dev")
    assert seen.observation is not None
    assert seen.observation.drift.reason == "Could not compare: no PostgreSQL 17 for scratch."
    assert (await site.run(BACKUP)).state == "succeeded"
    said = outcome(await site.run(VERIFY))
    assert "no PostgreSQL 17 for scratch" in said["account"]
    assert "[scratch]" in said["next_step"]


def test_no_secret_and_no_traceback_anywhere(ward: Ward) -> None:
    """In pages, outputs, logs, the store, and the arguments of processes."""
    for path in ("/", "/jobs", "/audit", "/settings", *(f"/projects/{each}" for each in SOURCES)):
        ward.page(path)
    for where in ward.urls:
        for tab in ("", "/migrations", "/drift", "/backups", "/jobs"):
            ward.page(f"/projects/{where.replace('/', '/environments/')}{tab}")
        ward.cleanstart("status", where)
        ward.cleanstart("drift", where)
    ward.cleanstart("doctor")
    tables = ward.cleanstart.ask(
        "SELECT relname, relnamespace::regnamespace::text AS schema FROM pg_class WHERE relkind IN ('r', 'p') "
        "AND relnamespace::regnamespace::text NOT LIKE 'pg\\_%%' AND relname NOT LIKE 'sql\\_%%'"
    )
    rows = [
        str(row)
        for table in tables
        for row in ward.cleanstart.ask(f'SELECT t::text FROM "{table["schema"]}"."{table["relname"]}" t')
    ]
    assert len(rows) > 100
    log = ward.cleanstart.log.read_text()
    for name, texts in {
        "pages": ward.pages, "outputs": ward.cleanstart.said, "store": rows, "logs": [log], "arguments": ward.argv,
    }.items():  # fmt: skip
        assert [text[:2000] for text in texts if CANARY in text] == [], name
    for text in (*ward.pages, *ward.cleanstart.said, log):
        assert "Traceback (most recent call last)" not in text
    assert "mistake in Clean Start" not in "".join(ward.cleanstart.said)
