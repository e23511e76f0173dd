"""Writes a new migration file with the project's own Alembic: its template, its file names, its hooks.

A stand-alone script like `models_runner.py`: Python 3.7 syntax, standard library, Alembic 1.8 and later. It writes
into the folder that it is given, which is a stand-in for the project's.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    # A script's own folder leads the import path, and this one holds a module named `alembic`.
    del sys.path[0]

import argparse
import ast
import importlib
import importlib.util
import io
import json
import os
import tokenize
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence

#: For projects without a template of their own.
PLAIN = '''"""{message}

Revision ID: {revision}
Revises: {revises}
Create Date: {now}

"""
from alembic import op
import sqlalchemy as sa
{imports}

revision = {revision!r}
down_revision = {down!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    {upgrades}


def downgrade() -> None:
    {downgrades}
'''

#: Where the names come from that the lines of a migration use.
IMPORTS = {
    "op": "from alembic import op",
    "sa": "import sqlalchemy as sa",
    "postgresql": "from sqlalchemy.dialects import postgresql",
}


class Elsewhere(Exception):
    """The file would not be in the folder that this is to write into."""


class Unwritable(Exception):
    """What the project says about its files does not lead to one."""


def load_runner() -> Any:
    """The Alembic runner: its channel and its configuration."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "alembic_runner.py")
    spec = importlib.util.spec_from_file_location("_cleanstart_runner", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make(runner: Any, watch: Any) -> bool:
    """Write the file by the project's configuration alone; False where that was reported as failed."""
    try:
        # Before any folder of the project leads the import path.
        importlib.import_module("alembic.command")
        alembic_config = importlib.import_module("alembic.config")
    except ImportError as error:
        watch.channel.say("failed", kind="missing", message=str(error), sqlstate=None, revision=None)
        return False
    runner.keep_imported()
    try:
        request = watch.request
        file = request["config"]
        options = argparse.Namespace(name=request["section"], x=None, raiseerr=False, config=file)
        config = runner.make_config(alembic_config, file, os.path.basename(file) == "pyproject.toml", options)
        script = importlib.import_module("alembic.script")
        directory = script.ScriptDirectory.from_config(config)
    except BaseException as error:
        watch.fail(error)
        return False
    if not attempt(watch, directory, config):
        return False
    watch.channel.say("finished")
    return True


def attempt(watch: Any, directory: Any, config: Any) -> bool:
    """Write the file into a script directory and report it; False where that was reported as failed."""
    try:
        write(watch, directory, config)
    except Elsewhere as error:
        watch.channel.say("failed", kind="elsewhere", message=str(error), sqlstate=None, revision=None)
        return False
    except Unwritable as error:
        watch.channel.say("failed", kind="error", message=str(error), sqlstate=None, revision=None)
        return False
    except BaseException as error:
        watch.fail(error)
        return False
    return True


def write(watch: Any, directory: Any, config: Any) -> None:
    request = watch.request
    with open(request["filled"], encoding="utf-8") as lines:
        filled = json.load(lines)
    location = location_of(directory, request["heads"])
    chosen = keep_within(directory, location, os.path.realpath(request["within"]))
    # Hooks come after what is added to the file, and each for itself.
    hooks = take_hooks(directory)
    if os.path.exists(os.path.join(directory.dir, "script.py.mako")):
        write_by_template(directory, location, request, dict(filled["filled"], config=config))
    else:
        write_plainly(directory, location, request, filled["filled"])
    path = chosen[-1]
    if filled["names"]:
        require_place(path, filled["filled"]["upgrades"])
    add_imports(path, filled["names"])
    remarks = list(run_hooks(path, hooks))
    if not os.path.isfile(path):
        raise Unwritable(
            "A post-write hook of the project took the file {} away.".format(os.path.basename(path))
        )
    watch.channel.say(
        "migration",
        revision=request["revision"],
        path=path,
        down=[],
        depends_on=[],
        labels=[],
        remarks=remarks,
    )


def location_of(directory: Any, heads: Sequence[str]) -> Any:
    """The version location of the first migration that is followed, the innermost where several hold it."""
    locations = list(directory._version_locations)
    if not heads or len(locations) == 1:
        return locations[0]
    head = heads[0]
    from alembic.script import Script

    file = os.path.realpath(str(directory.get_revision(head).path))
    holding = [
        location
        for location in locations
        if os.path.isdir(str(location))
        # Links are followed as Alembic follows them. Before 1.10 it lists names alone.
        and any(
            os.path.realpath(os.path.join(str(location), str(each))) == file
            for each in Script._list_py_dir(directory, location)
        )
    ]
    if not holding:
        raise Unwritable("The migration {} is in none of the version locations.".format(head))
    return max(holding, key=lambda each: len(str(each)))


def keep_within(directory: Any, location: Any, within: str) -> List[str]:
    """Have the directory refuse to write anywhere else, or over a file; the path comes into what is given back."""
    make_path = directory._rev_path
    chosen = []  # type: List[str]

    def watched(*args: Any, **kwargs: Any) -> Any:
        path = make_path(*args, **kwargs)
        chosen.append(str(path))
        there = os.path.dirname(os.path.abspath(chosen[-1]))
        while not os.path.lexists(there):
            there = os.path.dirname(there)
        if os.path.commonpath([within, os.path.realpath(there)]) != within:
            raise Elsewhere("The migrations are in {}, not in the project's folder.".format(location))
        if os.path.lexists(chosen[-1]):
            name = os.path.basename(chosen[-1])
            raise Unwritable("The project's file_template gives the name of a file that is there: " + name)
        return path

    directory._rev_path = watched
    return chosen


def write_by_template(directory: Any, location: Any, request: Any, given: Dict[str, Any]) -> None:
    try:
        directory.generate_revision(
            request["revision"], request["message"], head=down_of(request), version_path=location, **given
        )
    except Exception as error:
        # Alembic names a file with the reason, which is gone with the wall that it is behind.
        reason = why_not_rendered(directory, given) if "Template rendering" in str(error) else None
        if reason is not None:
            raise Unwritable("The template script.py.mako cannot be filled in: " + reason) from error
        raise


def down_of(request: Any) -> Any:
    """What is followed, as Alembic has it: nothing, a revision, or several of them."""
    heads = tuple(request["heads"])
    return heads if len(heads) > 1 else heads[0] if heads else None


def require_place(path: str, upgrades: str) -> None:
    """A template may have a function per database, and no place for what is to be done in one."""
    with open(path, "rb") as file:
        if upgrades.splitlines()[0].encode() not in file.read():
            raise Unwritable(
                "The template script.py.mako has no place for `upgrades`, what a migration does."
            )


def why_not_rendered(directory: Any, given: Dict[str, Any]) -> Optional[str]:
    mako = importlib.import_module("mako.template")
    usual = dict.fromkeys(
        ("up_revision", "down_revision", "branch_labels", "depends_on", "create_date", "message"), ""
    )  # type: Dict[str, Any]
    try:
        template = mako.Template(
            filename=os.path.join(str(directory.dir), "script.py.mako"), strict_undefined=True
        )
        template.render_unicode(**dict(usual, comma=str, **given))
    except Exception as error:
        return "{}: {}".format(type(error).__name__, error)
    return None


def write_plainly(directory: Any, location: Any, request: Any, filled: Dict[str, str]) -> None:
    # As Alembic says its own time: by its option `timezone`.
    now = directory._generate_create_date()
    path = str(directory._rev_path(str(location), request["revision"], request["message"], now))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    text = PLAIN.format(
        message=request["message"],
        revision=request["revision"],
        revises=", ".join(request["heads"]) or None,
        down=down_of(request),
        now=now.strftime("%Y-%m-%d %H:%M:%S"),
        **filled,
    )
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)


def add_imports(path: str, names: Sequence[str]) -> None:
    """Import what the lines use and the project's template does not."""
    with open(path, "rb") as source:
        encoding, _ = tokenize.detect_encoding(source.readline)
    with open(path, encoding=encoding, newline="") as file:
        text = file.read()
    tree = ast.parse(text)
    bound = set(names_of(tree))
    wanted = [IMPORTS[name] for name in IMPORTS if name in names and name not in bound]
    if not wanted:
        return
    lines = list(io.StringIO(text, newline=""))  # what Python takes for ends of lines, and no more
    # Before the first statement that has to come after nothing.
    place = next((node.lineno - 1 for node in tree.body if not leads(node)), len(lines))
    lines[place:place] = [line + "\n" for line in wanted]
    with open(path, "w", encoding=encoding, newline="") as file:
        file.write("".join(lines))


def names_of(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                yield alias.asname or alias.name


def leads(node: ast.stmt) -> bool:
    """Whether it is the docstring, or an import that comes before all others."""
    if isinstance(node, ast.ImportFrom):
        return node.module == "__future__"
    return isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call)


def take_hooks(directory: Any) -> Iterable[Any]:
    """The hooks one by one, as Alembic runs them, which it will not do itself any more."""
    # Before 1.16 they are one table with a list of names in it, under one name or the other.
    name = "hooks" if hasattr(directory, "hooks") else "hook_config"
    found = getattr(directory, name)
    setattr(directory, name, type(found)())
    return ([found] if found else []) if hasattr(found, "keys") else [[each] for each in found]


def run_hooks(path: str, hooks: Iterable[Any]) -> Iterator[str]:
    """Run the project's hooks on the file; what could not be run here is told in sentences."""
    run = importlib.import_module("alembic.script.write_hooks")._run_hooks
    for hook in hooks:
        try:
            run(path, hook)
        except Exception as error:
            if not is_missing(error):
                raise Unwritable(
                    "A post-write hook of the project refused the file: {}".format(error)
                ) from error
            yield "A post-write hook of the project was not run on the file: {}".format(error)


def is_missing(error: Exception) -> bool:
    """Whether it is about a program that is not to be had here."""
    begins = ("Could not find", "No formatter with name", "No module named")
    return isinstance(error, (OSError, ImportError)) or str(error).startswith(begins)


if __name__ == "__main__":
    alembic_runner = load_runner()
    sys.exit(alembic_runner.converse(lambda watch, url: make(alembic_runner, watch)))
