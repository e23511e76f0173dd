"""Makes a project's models in a database with `create_all`, in the project's own interpreter.

A stand-alone script like `alembic_runner.py`, which it loads from beside itself and reports through: Python 3.7
syntax, standard library, SQLAlchemy ≥ 1.4. What a failure means is left to `web.tools.alembic_tool.models`.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    # A script's own folder leads the import path, and this one holds a module named `alembic`.
    del sys.path[0]

import asyncio
import importlib
import importlib.util
import os
from typing import Any, Callable, Dict, Iterator, List, Optional

#: What the server says of a schema that is not there, and of what runs outside of transactions only.
NO_SCHEMA, IN_TRANSACTION = "3F000", "25001"


class Unusable(Exception):
    """What the configuration names is not there or no MetaData."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


def load_runner() -> Any:
    """The Alembic runner: its channel and its hooks."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "alembic_runner.py")
    spec = importlib.util.spec_from_file_location("_cleanstart_runner", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make(runner: Any, watch: Any, url: Optional[str]) -> bool:
    """Import the models and make them; False where that was reported as failed."""
    request, say = watch.request, watch.channel.say
    try:
        # Before any folder of the project leads the import path.
        importlib.import_module("sqlalchemy")
    except ImportError as error:
        say("failed", kind="missing", message=str(error), sqlstate=None, revision=None)
        return False
    if importlib.util.find_spec("alembic") is not None:
        importlib.import_module("alembic")
    runner.keep_imported()
    # As Alembic would, and behind everything else where a project that is not installed is usually found.
    sys.path[:0] = request["paths"]
    sys.path += [folder for folder in request["further"] if folder not in sys.path]
    stage = "loading"
    try:
        watch.watch_sqlalchemy()
        found = find(request["models"])
        stage = "creating"
        create(str(url), found, bool(request["prelude"]), runner.sqlstate)
    except Unusable as error:
        say("failed", kind=error.kind, message=str(error), sqlstate=None, revision=None)
        return False
    except BaseException as error:
        watch.fail(error, stage)
        return False
    say("finished")
    return True


def find(entries: List[str]) -> List[Any]:
    """Every MetaData that the entries name, once; an entry without attribute is only imported."""
    found = []  # type: List[Any]
    named = []
    for entry in entries:
        name, _, path = entry.partition(":")
        value = load(name)
        if not path:
            continue
        named.append(entry)
        for part in path.split("."):
            if not hasattr(value, part):
                raise Unusable("attribute", "{} has no {}: there is no {}.".format(name, path, part))
            value = getattr(value, part)
        found += [each for each in metadatas(value, entry) if not any(each is one for one in found)]
    if not any(each.tables for each in found):
        raise Unusable("empty", "{} has no tables.".format(", ".join(named)))
    return found


def load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name + ".").startswith(error.name + "."):
            raise Unusable("module", "There is no module {}.".format(error.name)) from None
        raise


def metadatas(value: Any, entry: str, called: bool = False) -> Iterator[Any]:
    """What has tables in it: a MetaData, what carries one, several of either, or a function that gives such."""
    from sqlalchemy import MetaData

    own = getattr(value, "metadata", None)
    if isinstance(value, MetaData):
        yield value
    elif isinstance(own, MetaData):
        yield own
    elif isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            yield from metadatas(each, entry, called)
    elif isinstance(value, dict):
        yield from metadatas(list(value.values()), entry, called)
    elif callable(value) and not called:
        yield from metadatas(value(), entry, True)
    else:
        raise Unusable("type", "{} is no MetaData: its type is {}.".format(entry, type(value).__name__))


def create(
    url: str, found: List[Any], prepared: bool, sqlstate: Callable[[BaseException], Optional[str]]
) -> None:
    """Make everything in one transaction, or outside of one where the models ask for that.

    `create_all` makes no schemas. Those that tables and types name are made once the server misses one, so
    that models that make theirs by themselves are left to do so.
    """
    from sqlalchemy.exc import DBAPIError

    options = {}  # type: Dict[str, Any]
    schemas = []  # type: List[str]
    while True:
        try:
            return run(url, options, found, schemas, prepared)
        except DBAPIError as error:
            state = sqlstate(error)
            named = named_schemas(found)
            if state == NO_SCHEMA and named and not schemas:
                schemas = named
            elif state == IN_TRANSACTION and not options:
                options["isolation_level"] = "AUTOCOMMIT"
            else:
                raise


def run(url: str, options: Dict[str, Any], *work: Any) -> None:
    """Make everything on a connection of the project's own driver; it is committed at its end."""
    from sqlalchemy import create_engine, pool
    from sqlalchemy.engine import make_url

    if not make_url(url).get_dialect().is_async:
        with create_engine(url, poolclass=pool.NullPool, **options).begin() as connection:
            create_all(connection, *work)
        return
    from sqlalchemy.ext.asyncio import create_async_engine

    async def run_async() -> None:
        engine = create_async_engine(url, poolclass=pool.NullPool, **options)
        async with engine.begin() as connection:
            await connection.run_sync(create_all, *work)

    asyncio.run(run_async())


def create_all(connection: Any, found: List[Any], schemas: List[str], prepared: bool) -> None:
    """Make what the models say, in place of what the prelude may have made under the same names."""
    from sqlalchemy import text

    quote = connection.dialect.identifier_preparer.quote
    for name in schemas:
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS " + quote(name).replace(":", "\\:")))
    for metadata in found if prepared else ():
        metadata.drop_all(connection)
    for metadata in found:
        metadata.create_all(connection)


def named_schemas(found: List[Any]) -> List[str]:
    """The schemas of tables, sequences and types."""
    names = set()
    for metadata in found:
        things = list(metadata.tables.values()) + list(getattr(metadata, "_sequences", {}).values())
        for table in metadata.tables.values():
            for column in table.columns:
                things += [column.type, getattr(column.type, "item_type", None)]
        names |= {getattr(thing, "schema", None) for thing in things} | {metadata.schema}
    return sorted(str(name) for name in names if name)


if __name__ == "__main__":
    alembic_runner = load_runner()
    sys.exit(alembic_runner.converse(lambda watch, url: make(alembic_runner, watch, url)))
