"""Writes a new migration file with the project's own Alembic: its template, its file names, its hooks.

A stand-alone script like `models_runner.py`: Python 3.7 syntax, standard library, Alembic 1.8 and later. It writes
into the folder that it is given, which is a stand-in for the project's.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    # A script's own folder leads the import path, and this one holds a module named `alembic`.
    del sys.path[0]

import importlib
import importlib.util
import json
import os
from typing import Any, Optional

#: For projects without a template of their own.
PLAIN = '''"""{message}

Revision ID: {revision}
Revises: {down}
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


class Elsewhere(Exception):
    """The migrations are not in the folder that this is to write into."""


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
    """Write the file and report it; False where that was reported as failed."""
    say = watch.channel.say
    try:
        # Before any folder of the project leads the import path.
        importlib.import_module("alembic.command")
        importlib.import_module("alembic.config")
    except ImportError as error:
        say("failed", kind="missing", message=str(error), sqlstate=None, revision=None)
        return False
    runner.keep_imported()
    try:
        write(runner, watch)
    except Elsewhere as error:
        say("failed", kind="elsewhere", message=str(error), sqlstate=None, revision=None)
        return False
    except BaseException as error:
        watch.fail(error)
        return False
    say("finished")
    return True


def write(runner: Any, watch: Any) -> None:
    import argparse

    from alembic import config as alembic_config
    from alembic.script import ScriptDirectory

    request = watch.request
    file = request["config"]
    options = argparse.Namespace(name=request["section"], x=None, raiseerr=False, config=file)
    config = runner.make_config(alembic_config, file, os.path.basename(file) == "pyproject.toml", options)
    directory = ScriptDirectory.from_config(config)
    within = os.path.realpath(request["within"])
    for location in directory._version_locations:
        if os.path.commonpath([within, os.path.realpath(location)]) != within:
            raise Elsewhere("The migrations are in {}, not in the project's folder.".format(location))
    with open(request["filled"], encoding="utf-8") as lines:
        filled = json.load(lines)
    if os.path.exists(os.path.join(directory.dir, "script.py.mako")):
        script = directory.generate_revision(
            request["revision"], request["message"], head=request["head"], **filled
        )
        path = None if script is None else str(script.path)
    else:
        path = write_plainly(directory, request, filled)
    watch.channel.say("migration", revision=request["revision"], path=path, down=[], depends_on=[], labels=[])


def write_plainly(directory: Any, request: Any, filled: Any) -> Optional[str]:
    import datetime

    path = os.path.join(str(directory.versions), request["revision"] + ".py")  # type: str
    text = PLAIN.format(
        message=request["message"],
        revision=request["revision"],
        down=request["head"],
        now=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S"),
        **filled,
    )
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)
    return path


if __name__ == "__main__":
    alembic_runner = load_runner()
    sys.exit(alembic_runner.converse(lambda watch, url: make(alembic_runner, watch)))
