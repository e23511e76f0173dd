"""The project's models, made in an empty database with the project's own interpreter.

What is told of a failure is decided here; `models_runner.py` is what runs there.
"""

from __future__ import annotations

from pathlib import Path

from web.config import AlembicSettings, Project
from web.errors import CleanStartError, ModelsFailed, ProgramMissing
from web.tools import runner
from web.tools.alembic_tool.launch import INSIDE, environment, interpreter, prepare, session_settings, url_for
from web.tools.alembic_tool.locations import read_import_paths
from web.tools.alembic_tool.settings import settings_of
from web.tools.confinement import Confinement, checkout
from web.tools.conversation import Failure, Run
from web.tools.events import OnEvent

_RUNNER = INSIDE / "models_runner.py"
_HINTS = {
    "module": "It is looked for as Alembic does (`prepend_sys_path`), then in the working directory, in `source` "
    "and in its `src`. Check `models` of the project's [alembic].",
    "attribute": "Check `models` of the project's [alembic].",
    "type": "Name a MetaData, what has one as `metadata`, a list of them, or a function that gives one.",
    "empty": "Tables are known once their modules are imported: name those too, as an array.",
    "loading": "The models are imported by the project's own interpreter, with DATABASE_URL and its like set to a "
    "scratch database. Nothing of the worker's own environment is handed on: further variables are set under `env` "
    "of the project.",
}


async def create_models(
    project: Project,
    *,
    confinement: Confinement,
    on_event: OnEvent,
    application_name: str,
    source: Path | None,
) -> None:
    """Build what the models say in an empty database: the prelude, then `create_all`.

    Tables that the prelude made and the models have too are dropped in between: only for scratch databases.
    Raises ModelsFailed, OperationFailed for the prelude, ProgramMissing.
    """
    tool, folder = settings_of(project), checkout(project, source)
    if not tool.models:
        raise ModelsFailed(
            f"It is not configured where the models of {project.name} are.",
            hint='Add models = "MODULE:ATTRIBUTE" to the project\'s [alembic].',
        )
    await prepare(
        project, folder, confinement=confinement, application_name=application_name, on_event=on_event
    )
    in_front, further = read_import_paths(folder, tool)
    request = {
        "command": "models",
        "models": list(tool.models),
        "prelude": tool.prelude is not None,
        "paths": [str(path.absolute()) for path in in_front],
        "further": [str(path.absolute()) for path in further],
        "settings": session_settings(application_name, None, None),
    }
    assert confinement.opens is not None
    run = await runner.run(
        confinement,
        (str(interpreter(tool)), str(_RUNNER)),
        request,
        url=url_for(tool, confinement.opens.url),
        env=environment(tool, confinement, application_name),
        cwd=tool.working_directory(folder),
        time_limit=tool.time_limit,
        on_event=on_event,
    )
    if (error := _judge(tool, run)) is not None:
        raise error


def _judge(tool: AlembicSettings, run: Run) -> CleanStartError | None:
    named = ", ".join(tool.models)
    if run.failure is not None:
        return _explain(tool, named, run.failure)
    if run.timed_out:
        return ModelsFailed(f"{named} did not come to its end within {tool.time_limit} and was ended.")
    if not run.finished:
        return ModelsFailed(
            f"The interpreter {tool.python} ended with exit code {run.exit_code} while it made {named}: "
            f"{run.stderr_tail.strip() or 'no message'}"
        )
    return None


def _explain(tool: AlembicSettings, named: str, failure: Failure) -> CleanStartError:
    where = f" ({failure.places[-1]})" if failure.places else ""
    match failure.kind:
        case "missing":
            return ProgramMissing(
                f"The interpreter {tool.python} has no SQLAlchemy ({failure.message}).",
                hint="Install the project's dependencies into it, or name another `python`.",
            )
        case "loading":
            return ModelsFailed(
                f"{named} cannot be imported: {failure.message}{where}", hint=_HINTS["loading"]
            )
        case "creating" if failure.message.startswith("ModuleNotFoundError"):
            return ModelsFailed(
                f"{named} cannot be made: {failure.message}",
                hint="Name the driver that the project has as `url_driver` of its [alembic].",
            )
        case "creating":
            return ModelsFailed(
                f"create_all of {named} was refused: {failure.message}",
                sqlstate=failure.sqlstate,
                hint="What tables stand on (extensions, types, functions that only migrations make) belongs into "
                "the `prelude`." if failure.sqlstate in ("42704", "42883") else "",
            )  # fmt: skip
        case kind:
            return ModelsFailed(failure.message, hint=_HINTS.get(kind, ""))
