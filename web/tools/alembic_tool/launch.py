"""How the runner is started for a project: which program, with which environment, URL and request."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from web.config import AlembicSettings, Project
from web.errors import OperationFailed, ProgramMissing
from web.postgres.connections import libpq_environment, sqlalchemy_url
from web.tools import runner
from web.tools.alembic_tool.settings import settings_of
from web.tools.confinement import Confinement
from web.tools.conversation import Run
from web.tools.events import Acknowledge, OnEvent
from web.tools.prelude import run_prelude

#: What runs in the project's interpreter.
INSIDE = Path(__file__).with_name("inside")
RUNNER = INSIDE / "alembic_runner.py"
_SHIM = INSIDE / "runner_shim"
_SCHEME = re.compile(r"^(postgres(?:ql)?(?:\+\w+)?)://")
_ALL = ("head", "heads")
#: Where programs of the system are. Ours may be elsewhere, and are nobody else's business.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


async def launch(
    project: Project,
    folder: Path,
    command: str,
    revisions: Sequence[str | None],
    *,
    confinement: Confinement,
    on_event: OnEvent,
    flags: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    step_by_step: bool = False,
    acknowledge: Acknowledge | None = None,
    at_time_limit: Callable[[], Awaitable[None]] | None = None,
    run: Run | None = None,
    by: str | None = None,
    script: Path = RUNNER,
    more: Mapping[str, object] | None = None,
) -> Run:
    """Start the runner, or the project's own command with our hooks in it, and follow it to its end.

    `by` is another of its own commands, in which our hooks do what is asked for. `script` is what the interpreter
    runs where there is none, `more` what the request says beyond what each one does.
    """
    tool = settings_of(project)
    own = tool.commands.get(by or command)
    env = environment(tool, confinement, (settings or {}).get("application_name", "cleanstart"))
    url = confinement.opens.url if confinement.opens is not None else None
    if own is None:
        argv: tuple[str, ...] = (str(interpreter(tool)), str(script))
    else:
        # Where it goes by itself is for our hooks to say, if they do something else in it.
        argv = found_command(tool, tuple(_filled(own, revisions if by is None else _ALL[1:])))
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_SHIM), env.get("PYTHONPATH")]))
    request = {
        "command": command,
        "by": by,
        "config": str(tool.config_file(folder).absolute()),
        "section": tool.section,
        "revisions": list(revisions),
        "flags": list(flags),
        "x_arguments": list(tool.x_arguments),
        "settings": dict(settings or {}),
        "step_by_step": step_by_step,
        **(more or {}),
    }
    done = await runner.run(
        confinement,
        argv,
        request,
        url=url_for(tool, url) if url is not None and own is None else None,
        env=env,
        cwd=tool.working_directory(folder),
        time_limit=tool.time_limit,
        on_event=on_event,
        acknowledge=acknowledge,
        at_time_limit=at_time_limit,
        known=run,
    )
    if done.failure is not None and done.failure.kind == "missing":
        raise ProgramMissing(
            f"The interpreter {tool.python} has no Alembic ({done.failure.message}).",
            hint="Install the project's dependencies into it, or name another `python`.",
        )
    if not done.hello and not done.timed_out:
        what = "The project's own command" if own is not None else f"The interpreter {tool.python}"
        raise OperationFailed(
            f"{what} ended with exit code {done.exit_code} before our hooks were loaded: "
            f"{done.stderr_tail.strip() or 'no message'}",
            hint="It has to be a Python that heeds PYTHONPATH." if own is not None else None,
        )
    return done


def interpreter(tool: AlembicSettings) -> Path:
    """The project's own Python. Raises ProgramMissing where it is no file that can be run."""
    if not (tool.python.is_file() and os.access(tool.python, os.X_OK)):
        raise ProgramMissing(
            f"There is no interpreter {tool.python} that can be run.",
            hint="Name the project's own Python as `python` of its [alembic].",
        )
    # Not resolved: a virtual environment is known by the path through which its interpreter is called.
    return tool.python.absolute()


def found_command(tool: AlembicSettings, command: tuple[str, ...]) -> tuple[str, ...]:
    """The command with its program found: first beside the project's interpreter, then on PATH."""
    path = os.pathsep.join([str(tool.python.absolute().parent), os.environ.get("PATH", os.defpath)])
    program = shutil.which(command[0], path=path)
    if program is None:
        raise ProgramMissing(f"There is no program {command[0]} in the project's environment.")
    return (program, *command[1:])


def _filled(command: Sequence[str], revisions: Sequence[str | None]) -> list[str]:
    """The project's own command with `{revision}` filled in."""
    wanted = [revision for revision in revisions if revision is not None]
    if any("{revision}" in part for part in command) and len(wanted) == 1:
        return [part.replace("{revision}", wanted[0]) for part in command]
    if any(revision not in _ALL for revision in wanted):
        raise OperationFailed(
            f"The project's own command cannot be told to go to {', '.join(wanted)}.",
            hint="Write {revision} where the command takes it.",
        )
    return list(command)


async def prepare(
    project: Project, folder: Path, *, confinement: Confinement, application_name: str, on_event: OnEvent
) -> None:
    """Run the project's prelude in an empty database, where it has one. Raises `OperationFailed`."""
    tool = settings_of(project)
    if tool.prelude is not None:
        await run_prelude(
            tool.prelude,
            tool,
            confinement,
            source=folder,
            argv=lambda command: found_command(tool, command),
            env=environment(tool, confinement, application_name),
            cwd=tool.working_directory(folder),
            application_name=application_name,
            on_event=on_event,
        )


def url_for(tool: AlembicSettings, url: str) -> str:
    """The URL in the form that the project's env.py expects."""
    scheme = _SCHEME.match(url)
    driver = tool.url_driver or (scheme.group(1) if scheme else "postgresql")
    return sqlalchemy_url(url, "postgresql" if driver == "postgres" else driver)


def environment(tool: AlembicSettings, confinement: Confinement, application_name: str) -> dict[str, str]:
    """What the project's code finds in its environment beyond what every program inherits."""
    binaries = tool.python.absolute().parent
    url = confinement.opens.url if confinement.opens is not None else None
    env = {
        **confinement.variables,
        "PATH": os.pathsep.join([str(binaries), confinement.variables.get("PATH", _PATH)]),
        # The checkout may be read-only, and it is not ours to write into.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        "PGAPPNAME": application_name,
    }
    if (binaries.parent / "pyvenv.cfg").is_file():
        env["VIRTUAL_ENV"] = str(binaries.parent)
    if url is not None:
        # Certificates reach drivers that take none in their URL through libpq's variables.
        env |= {name: value for name, value in libpq_environment(url).items() if name.startswith("PGSSL")}
        if tool.url_variable:
            env[tool.url_variable] = url_for(tool, url)
    return env


def session_settings(
    application_name: str, lock_timeout: str | None, statement_timeout: str | None
) -> dict[str, str]:
    return {
        "application_name": application_name,
        # A backend whose client is gone ends its statement.
        "client_connection_check_interval": "2s",
        **({"lock_timeout": lock_timeout} if lock_timeout else {}),
        **({"statement_timeout": statement_timeout} if statement_timeout else {}),
    }
