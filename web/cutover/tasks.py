"""The task that migrates once for each deployment, as files for whatever deploys; and the same as a checklist.

It holds no credentials: each form takes the token from where that keeps secrets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from jinja2 import Environment as Templates
from jinja2 import StrictUndefined

from web.config import Configuration, Project
from web.config.values import Tier
from web.errors import Conflict, NotFound

#: Development first, production last, as a build goes through them.
_ORDER: Final[Mapping[Tier, int]] = {"development": 0, "staging": 1, "production": 2}
#: All that an address holds which is good in YAML, shell and CloudFormation as it is.
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")


@dataclass(frozen=True, slots=True)
class Form:
    """One way to deploy."""

    name: str
    title: str
    #: What its files do, in a sentence.
    account: str
    #: The files' names, by those of their templates; `{project}` stands for the project's.
    files: Mapping[str, str]


FORMS: Final[tuple[Form, ...]] = (
    Form(
        "ecs",
        "Amazon ECS",
        "A stack with the task definition, and the step of a deployment that runs the task, waits, and fails with it.",
        {"ecs-migrate.cfn.yaml": "ecs-migrate.cfn.yaml", "ecs-migrate.sh": "ecs-migrate.sh"},
    ),
    Form(
        "compose",
        "Docker Compose",
        "A service that has to end well before the application starts.",
        {"compose.migrate.yaml": "compose.migrate.yaml"},
    ),
    Form(
        "github-actions",
        "GitHub Actions",
        "A workflow that the deployment needs.",
        {"github-migrate.yml": "migrate-{project}.yml"},
    ),
    Form(
        "manual",
        "By hand",
        "A checklist: somebody presses Migrate before each deployment.",
        {"deployment.md": "deployment.md"},
    ),
)


class NoPublicUrl(Conflict):
    """Without `public_url` nobody knows where a task would ask."""

    title = "The dashboard's address is not configured"
    hint = "Set public_url in cleanstart.toml to where the dashboard is reached, such as https://db.acme.internal."


@dataclass(frozen=True, slots=True)
class TaskFile:
    """One file."""

    name: str
    text: str


def form_of(name: str) -> Form:
    """The form of this name. Raises NotFound."""
    found = next((each for each in FORMS if each.name == name), None)
    if found is None:
        raise NotFound(
            f"There is no form “{name[:50]}” of the task.",
            hint=f"There are {', '.join(each.name for each in FORMS)}.",
        )
    return found


def make_task(configuration: Configuration, project: Project, form: Form) -> tuple[TaskFile, ...]:
    """Fill the files in. Raises NoPublicUrl, Conflict where there is nothing to migrate."""
    url = configuration.public_url
    if url is None:
        raise NoPublicUrl
    if not _PLAIN_URL.fullmatch(url):
        raise NoPublicUrl(f"The address {url} holds characters that cannot stand in these files.")
    if not project.environments:
        raise Conflict(f"{project.name} has no environment that could be migrated.")
    values = {
        "url": url,
        "project": project.name,
        # A heading: a title may hold anything.
        "title": re.sub(r"[^\w .-]", "", " ".join(project.title.split())) or project.name,
        "environments": in_order(project),
        "production": {each.name for each in project.environments.values() if each.tier == "production"},
    }
    return tuple(
        TaskFile(name.format(project=project.name), _filled_in(template, values))
        for template, name in form.files.items()
    )


def in_order(project: Project) -> tuple[str, ...]:
    """The environments as a build goes through them, production last."""
    found = sorted(project.environments.values(), key=lambda each: _ORDER[each.tier])
    return tuple(each.name for each in found)


def _filled_in(template: str, values: Mapping[str, object]) -> str:
    # GitHub's expressions are written as Jinja's usual ones.
    templates = Templates(
        variable_start_string="<< ",
        variable_end_string=" >>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 (no HTML: everything that goes in is a name, or an address of plain characters)
    )
    templates.filters["quoted"] = json.dumps
    text = files("web.cutover").joinpath("forms", template).read_text(encoding="utf-8")
    return templates.from_string(text).render(values)
