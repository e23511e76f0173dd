"""Runs a project's Alembic in the project's own interpreter and reports every step on a pipe of its own.

Stand-alone (hence one file): Python 3.7 syntax, standard library, Alembic ≥ 1.8 and SQLAlchemy ≥ 1.4. As a
script it runs an Alembic command; loaded by `runner_shim/sitecustomize.py` it watches the project's own one;
`models_runner.py` reports through it. What that means is left to `web.tools.conversation`. Nothing writes to stdout.

The request is JSON in CLEANSTART_RUNNER. It names two file descriptors: one for reports (one JSON object a
line), one from which acknowledgements come; the URL is the first line of the latter, never in argv.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    # A script's own folder leads the import path, and this one holds a module named `alembic`.
    del sys.path[0]

import argparse
import atexit
import gc
import importlib
import importlib.util
import json
import os
import re
import threading
import time
import traceback
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple

VARIABLE = "CLEANSTART_RUNNER"
#: Exit code where nobody listens any more: nothing may be committed that nobody has written down.
ORPHANED = 70
#: A statement longer than this is reported cut.
LONGEST = 200000

_DRIVERS = ("psycopg", "pg8000", "asyncpg", "sqlalchemy.dialects.postgresql", "sqlalchemy.connectors.asyncio")
_READS = re.compile(r"\s*(select|show)\b", re.IGNORECASE)
_COMMITS = re.compile(r"\s*(commit|end)\b", re.IGNORECASE)


class Channel:
    """Reports go out, acknowledgements come in. Writes are whole lines, also from several threads."""

    def __init__(self, reports: int, control: int) -> None:
        self._reports, self._control = reports, control
        self._lock = threading.RLock()
        self._rest = b""
        self._asked = 0

    def say(self, event: str, **fields: Any) -> None:
        line = json.dumps(dict(fields, event=event), default=str).encode("ascii") + b"\n"
        with self._lock:
            try:
                while line:
                    line = line[os.write(self._reports, line) :]
            except OSError:
                os._exit(ORPHANED)

    def ask(self, event: str, **fields: Any) -> None:
        """Report, then wait until the other side has written it down; RuntimeError where it says no."""
        with self._lock:
            self._asked += 1
            self.say(event, ask=self._asked, **fields)
            while True:
                answer = self.read()
                if answer.get("ack") == self._asked:
                    if answer.get("refused"):
                        raise RuntimeError(str(answer["refused"]))
                    return

    def read(self) -> Dict[str, Any]:
        while b"\n" not in self._rest:
            chunk = os.read(self._control, 65536)
            if not chunk:
                os._exit(ORPHANED)
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        answer = json.loads(line.decode("utf-8"))
        return answer if isinstance(answer, dict) else {}


class Watch:
    """The hooks in SQLAlchemy and Alembic; one per process."""

    def __init__(self, channel: Channel, request: Dict[str, Any]) -> None:
        self.channel, self.request = channel, request
        self.hooks = load_beside("driver_hooks.py")
        self.sessions = self.hooks.Sessions(channel.ask, channel.say, request)
        self.revision = None  # type: Optional[str]
        self.started = 0.0
        self.bookkeeping = False
        self.number = 0
        self.told = None  # type: Optional[BaseException]
        self.scripts = []  # type: List[Any]
        self.config = None  # type: Any

    # SQLAlchemy

    def watch_sqlalchemy(self) -> None:
        import sqlalchemy
        from sqlalchemy import event
        from sqlalchemy.engine import Connection, Engine
        from sqlalchemy.pool import Pool

        event.listen(Pool, "connect", self.on_connect)
        event.listen(Engine, "before_cursor_execute", self.before_execute)
        event.listen(Engine, "after_cursor_execute", self.after_execute)
        event.listen(Engine, "handle_error", self.on_error)
        event.listen(Engine, "commit", self.before_commit)
        event.listen(Engine, "rollback", lambda conn: self.say_of("rolled_back", conn))
        event.listen(Engine, "savepoint", lambda conn, name: self.say_of("savepoint", conn))
        event.listen(
            Engine,
            "rollback_savepoint",
            lambda conn, name, context: self.say_of("rolled_back_to_savepoint", conn),
        )
        event.listen(
            Engine, "release_savepoint", lambda conn, name, context: self.say_of("released_savepoint", conn)
        )
        # There is an event before a commit and none after it.
        commit = Connection._commit_impl  # type: Callable[..., Any]

        def watched_commit(conn: Any, *args: Any, **kwargs: Any) -> Any:
            done = commit(conn, *args, **kwargs)
            self.say_of("committed", conn)
            return done

        put(Connection, "_commit_impl", watched_commit)
        self.channel.say("library", name="sqlalchemy", version=sqlalchemy.__version__)

    def on_connect(self, dbapi_connection: Any, record: Any) -> None:
        """See that the session was looked at; async drivers come here through SQLAlchemy's adapters."""
        if not any(kind.__module__.startswith(_DRIVERS) for kind in type(dbapi_connection).__mro__):
            return
        pid = self.hooks.pid_of_driver(dbapi_connection)
        if pid is None or pid not in self.sessions.admitted:
            # A driver that is not watched by itself.
            self.sessions.require_some()
            cursor = dbapi_connection.cursor()
            try:
                cursor.execute(self.sessions.query)
                pid = self.sessions.admit(cursor.fetchone())
            finally:
                cursor.close()
            # Without this the settings would go with the first transaction that is rolled back.
            dbapi_connection.commit()
        record.info["cleanstart_pid"] = pid

    def before_execute(
        self, conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        self.number += 1
        inside = in_transaction(conn)
        if (not inside and not _READS.match(statement)) or (inside and _COMMITS.match(statement)):
            # Outside of a transaction a statement is its own commit.
            self.ask_commit(conn, statement, inside)
        self.tell(
            "statement",
            number=self.number,
            pid=pid_of(conn),
            sql=statement[:LONGEST],
            in_transaction=inside,
            revision=self.revision,
            bookkeeping=self.bookkeeping,
        )
        if context is not None:
            context._cleanstart = (self.number, time.perf_counter())

    def after_execute(
        self, conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        number, started = getattr(context, "_cleanstart", (self.number, time.perf_counter()))
        seconds = time.perf_counter() - started
        rows = getattr(cursor, "rowcount", -1)
        self.tell(
            "executed", number=number, seconds=seconds, rows=rows if rows is not None and rows >= 0 else None
        )
        if in_transaction(conn) and _COMMITS.match(statement):
            self.say_of("committed", conn)

    def on_error(self, problem: Any) -> None:
        context = problem.execution_context
        number, started = getattr(context, "_cleanstart", (None, time.perf_counter()))
        if number is not None:
            error = problem.original_exception
            self.channel.say(
                "refused",
                number=number,
                seconds=time.perf_counter() - started,
                sqlstate=sqlstate(error),
                message=message(error),
            )

    def before_commit(self, conn: Any) -> None:
        self.ask_commit(conn, None, True)

    def ask_commit(self, conn: Any, statement: Optional[str], inside: bool) -> None:
        self.channel.ask(
            "about_to_commit",
            pid=pid_of(conn),
            revision=self.revision,
            sql=statement[:LONGEST] if statement else None,
            in_transaction=inside,
        )

    def say_of(self, event: str, conn: Any) -> None:
        self.channel.say(event, pid=pid_of(conn))

    def tell(self, event: str, **fields: Any) -> None:
        """Report on a statement; step by step, the next thing happens when that was looked at."""
        if self.request.get("step_by_step"):
            self.channel.ask(event, **fields)
        else:
            self.channel.say(event, **fields)

    # Alembic

    def watch_alembic(self) -> None:
        import alembic
        from alembic.runtime import migration

        version = tuple(int(part) for part in re.findall(r"\d+", alembic.__version__)[:2])
        self.channel.say("library", name="alembic", version=alembic.__version__)
        if version < (1, 8):
            raise RuntimeError("Alembic {} is too old; 1.8 or later is needed.".format(alembic.__version__))
        run_migrations = migration.MigrationContext.run_migrations  # type: Callable[..., Any]
        watch = self

        def watched_run(context: Any, **kwargs: Any) -> Any:
            if context.as_sql:
                return run_migrations(context, **kwargs)
            plan, callbacks = context._migrations_fn, context.on_version_apply_callbacks
            taken = watch.way_back(context) or plan
            context._migrations_fn = lambda heads, ctx: watch.steps(taken, heads, ctx)
            context.on_version_apply_callbacks = (*callbacks, watch.on_version_apply)
            try:
                return run_migrations(context, **kwargs)
            except BaseException as error:
                watch.fail(error)
                raise
            finally:
                context._migrations_fn, context.on_version_apply_callbacks = plan, callbacks
                watch.revision = None

        put(migration.MigrationContext, "run_migrations", watched_run)
        self.watch_bookkeeping(migration.HeadMaintainer, "update_to_step")
        self.watch_bookkeeping(migration.MigrationContext, "_ensure_version_table")
        self.watch_bookkeeping(migration.MigrationContext, "get_current_heads")

    def way_back(self, context: Any) -> Optional[Callable[..., Any]]:
        """What leads back, where that is asked of a project's own command that goes forth."""
        if self.request.get("command") != "downgrade" or self.request.get("by") is None:
            return None
        (revision,) = self.request["revisions"]
        return lambda heads, _: context.environment_context.script._downgrade_revs(revision, heads)

    def watch_bookkeeping(self, owner: Any, name: str) -> None:
        """Mark what Alembic itself executes while this method runs."""
        method = getattr(owner, name)
        watch = self

        def watched(*args: Any, **kwargs: Any) -> Any:
            before, watch.bookkeeping = watch.bookkeeping, True
            try:
                return method(*args, **kwargs)
            finally:
                watch.bookkeeping = before

        put(owner, name, watched)

    def watch_scripts(self) -> None:
        """Remember which script directories the project's own command opens, and by which configuration."""
        from alembic.script import base

        opened = base.ScriptDirectory.__init__  # type: Callable[..., None]
        configured = base.ScriptDirectory.from_config.__func__  # type: ignore[attr-defined]
        watch = self

        def watched(directory: Any, *args: Any, **kwargs: Any) -> None:
            opened(directory, *args, **kwargs)
            watch.scripts.append(directory)

        def watched_from_config(owner: Any, config: Any) -> Any:
            directory = configured(owner, config)
            watch.config = config
            return directory

        put(base.ScriptDirectory, "__init__", watched)
        put(base.ScriptDirectory, "from_config", classmethod(watched_from_config))

    def steps(self, plan: Callable[..., Any], heads: Tuple[str, ...], context: Any) -> Iterator[Any]:
        """The planned steps one by one; Alembic takes the next one when the last is applied."""
        steps = list(plan(heads, context))
        self.channel.say(
            "planned",
            pid=pid_of(context.connection),
            heads=list(heads),
            revisions=[step_revision(step) for step in steps],
            table=context.version_table,
            schema=context.version_table_schema,
        )
        for step in steps:
            self.revision = step_revision(step)
            self.started = time.perf_counter()
            self.channel.say("started", revision=self.revision, message=getattr(step, "doc", None) or "")
            yield step
            self.revision = None

    def on_version_apply(self, ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
        self.channel.say(
            "applied",
            revision=self.revision,
            heads=sorted(heads),
            seconds=time.perf_counter() - self.started,
            pid=pid_of(ctx.connection),
            in_transaction=in_transaction(ctx.connection),
            table=ctx.version_table,
            schema=ctx.version_table_schema,
        )

    def fail(self, error: BaseException, kind: Optional[str] = None) -> None:
        """Report an exception once, however many levels it passes."""
        if error is self.told:
            return
        self.told = error
        libraries = tuple(library_folders())
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if not frame.filename.startswith(libraries)
        ]
        if kind is None:
            kind = "import" if isinstance(error, ImportError) else "error"
        if isinstance(error, self.hooks.ForeignDatabase):
            return  # told when it was refused
        self.channel.say(
            "failed",
            kind=kind,
            message=message(error),
            sqlstate=sqlstate(error),
            revision=self.revision,
            places=["{}:{} {}".format(frame.filename, frame.lineno, frame.name) for frame in frames[-12:]],
        )


def put(owner: Any, name: str, function: Any) -> None:
    """Put our function in the place of the library's own."""
    setattr(owner, name, function)


def library_folders() -> Iterator[str]:
    """Whose lines of a traceback tell nothing about the project."""
    yield __file__
    yield "<frozen "
    for name in ("alembic", "sqlalchemy", "psycopg", "psycopg2", "asyncpg", "pg8000"):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file:
            yield os.path.dirname(file) + os.sep


def load_beside(name: str) -> Any:
    """A module of ours, by the file beside this one: no folder of ours leads the import path."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    spec = importlib.util.spec_from_file_location("_cleanstart_" + name[:-3], path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pid_of(conn: Any) -> Optional[int]:
    try:
        pid = conn.info.get("cleanstart_pid")
    except Exception:
        return None  # the connection is closed or invalidated
    return pid if isinstance(pid, int) else None


def in_transaction(conn: Any) -> bool:
    """Whether statements wait for a commit, as the driver's connection says it."""
    try:
        pooled = conn.connection
        driver = getattr(pooled, "dbapi_connection", None) or pooled.connection
    except Exception:
        return True
    autocommit = getattr(driver, "autocommit", None)
    if autocommit is None:
        autocommit = str(getattr(driver, "isolation_level", "")).lower() == "autocommit"
    return not autocommit


def causes(error: Optional[BaseException]) -> Iterator[BaseException]:
    """The exception, the driver's own inside it, and what it came from."""
    seen = []  # type: List[BaseException]
    todo = [error]
    while todo:
        one = todo.pop(0)
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            todo += [getattr(one, "orig", None), one.__cause__]
            yield one


def sqlstate(error: Optional[BaseException]) -> Optional[str]:
    for one in causes(error):
        for name in ("sqlstate", "pgcode"):
            value = getattr(one, name, None)
            if isinstance(value, str) and len(value) == 5:
                return value
        if one.args and isinstance(one.args[0], dict) and isinstance(one.args[0].get("C"), str):
            return str(one.args[0]["C"])  # pg8000
    return None


def message(error: BaseException) -> str:
    """What it says without the values that were bound to a statement."""
    original = getattr(error, "orig", None)
    text = str(original if isinstance(original, BaseException) else error).strip()
    name = type(error).__name__
    plain = sqlstate(error) is not None or name in ("CommandError", "ForeignDatabase", "RuntimeError")
    return (text or name) if plain else ("{}: {}".format(name, text) if text else name)


def step_revision(step: Any) -> str:
    script = getattr(step, "revision", None)
    if script is not None:
        return str(script.revision)
    revisions = step.to_revisions if step.is_upgrade else step.from_revisions
    return str(revisions[0]) if revisions else "base"


def listed(value: Any) -> List[str]:
    return [value] if isinstance(value, str) else [str(item) for item in value or ()]


def say_history(channel: Channel, directory: Any) -> None:
    """Report every migration file as Alembic itself loads it."""
    for script in directory._load_revisions():
        channel.say(
            "migration",
            revision=script.revision,
            down=listed(script.down_revision),
            depends_on=listed(script.dependencies),
            labels=listed(getattr(script, "_orig_branch_labels", ())),
            doc=script.longdoc,
            path=str(script.path),
        )


def run_command(watch: Watch, url: Optional[str]) -> None:
    """Run one of Alembic's commands as its own command line would, with the URL set in memory."""
    from alembic import config as alembic_config

    request = watch.request
    file, is_toml = request["config"], os.path.basename(request["config"]) == "pyproject.toml"
    for revision in request["revisions"]:
        arguments = ["-c", file, "-n", request["section"], request["command"], *request["flags"]]
        arguments += [revision] if revision is not None else []
        line = alembic_config.CommandLine("alembic")
        options = line.parser.parse_args(arguments)
        sys.argv = ["alembic", *arguments]
        if url:
            options.x = ["{}={}".format(name, url) for name in request["x_arguments"]] or None
        config = make_config(alembic_config, file, is_toml, options)
        if url:
            config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        function, positional, keywords = options.cmd
        if request["command"] == "history":
            from alembic.script import ScriptDirectory

            say_history(watch.channel, ScriptDirectory.from_config(config))
            continue
        function(
            config,
            *[getattr(options, name, None) for name in positional],
            **{name: getattr(options, name, None) for name in keywords},
        )


def make_config(alembic_config: Any, file: str, is_toml: bool, options: argparse.Namespace) -> Any:
    if not is_toml:
        sibling = os.path.join(os.getcwd(), "pyproject.toml")
        more = {"toml_file": sibling} if takes_toml(alembic_config) and os.path.exists(sibling) else {}
        return alembic_config.Config(file, ini_section=options.name, cmd_opts=options, **more)
    if not takes_toml(alembic_config):
        raise RuntimeError("This Alembic does not read pyproject.toml; 1.16 or later does.")
    # Alembic's own command line names this ini too, whether it exists or not.
    return alembic_config.Config("alembic.ini", toml_file=file, ini_section=options.name, cmd_opts=options)


def takes_toml(alembic_config: Any) -> bool:
    return hasattr(alembic_config.Config, "toml_alembic_config")


def open_watch() -> Optional[Watch]:
    """The channel that the environment names; None where its pipes did not come along."""
    request = json.loads(os.environ[VARIABLE])
    try:
        os.fstat(request["reports"])
        os.fstat(request["control"])
    except OSError:
        return None
    return Watch(Channel(request["reports"], request["control"]), request)


def converse(work: Callable[[Watch, Optional[str]], bool]) -> int:
    """Do the work that was asked for. Failures are reported on the pipe; the exit code repeats it."""
    watch = open_watch()
    if watch is None:
        raise SystemExit("the pipes of the runner are not open")
    # Programs that a migration starts inherit no part of the conversation.
    del os.environ[VARIABLE]
    os.set_inheritable(watch.request["reports"], False)
    os.set_inheritable(watch.request["control"], False)
    # Importing makes no garbage; looking for it takes an eighth of a run's start.
    gc.set_threshold(50000, 20, 100)
    url = watch.channel.read().get("url")
    watch.channel.say("hello", python=sys.version.split()[0], pid=os.getpid())
    sys.meta_path.insert(0, ImportHook(watch.sessions.hooks()))
    try:
        succeeded = work(watch, url)
    finally:
        watch.channel.say("ended")
    return 0 if succeeded else 1


def keep_imported() -> None:
    """Spare the collector what was imported so far, which stays to the end: there it takes a quarter of a run."""
    gc.freeze()


def run_reporting(watch: Watch, url: Optional[str]) -> bool:
    try:
        # Before any folder of the project leads the import path.
        importlib.import_module("alembic.command")
        importlib.import_module("alembic.config")
    except ImportError as error:
        watch.channel.say("failed", kind="missing", message=str(error), sqlstate=None, revision=None)
        return False
    try:
        watch.watch_sqlalchemy()
        watch.watch_alembic()
        keep_imported()
        run_command(watch, url)
    except BaseException as error:
        if not isinstance(error, SystemExit) or error.code not in (None, 0):
            watch.fail(error)
            return False
    watch.channel.say("finished")
    return True


class ImportHook:
    """Calls back when a module has been imported, or loaded again."""

    def __init__(self, callbacks: Dict[str, List[Callable[[], None]]]) -> None:
        self.callbacks = callbacks
        self.looking: Set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        callbacks = self.callbacks.get(name)
        if callbacks is None or name in self.looking:
            return None
        # Who only asks whether a module is there gets a spec too, and may import by another one later.
        self.looking.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.looking.discard(name)
        if spec is None or spec.loader is None:
            return spec
        loader = spec.loader
        execute = loader.exec_module

        def execute_and_call(module: Any) -> None:
            execute(module)
            for callback in callbacks:
                callback()

        put(loader, "exec_module", execute_and_call)
        return spec


def inject() -> None:
    """Watch what this process does with Alembic; the shim calls it in every interpreter of the command."""
    watch = open_watch()
    if watch is None:
        return
    channel = watch.channel
    on_alembic = [watch.watch_alembic]
    if watch.request["command"] in ("history", "revision"):
        on_alembic.append(watch.watch_scripts)
    callbacks = {"sqlalchemy": [watch.watch_sqlalchemy], "alembic": on_alembic}
    callbacks.update(watch.sessions.hooks())
    sys.meta_path.insert(0, ImportHook(callbacks))
    hook = sys.excepthook

    def report(kind: Any, error: Any, trace: Any) -> None:
        watch.fail(error)
        hook(kind, error, trace)

    def finish() -> None:
        for directory in watch.scripts[-1:]:
            if watch.request["command"] == "revision":
                load_beside("revision_runner.py").attempt(watch, directory, watch.config)
            else:
                say_history(channel, directory)
        channel.say("finished")

    sys.excepthook = report
    atexit.register(finish)
    channel.say("hello", python=sys.version.split()[0], pid=os.getpid())


if __name__ == "__main__":
    sys.exit(converse(run_reporting))
