"""The generated tasks, run as what deploys runs them, on a real dashboard: where the migrate fails, so do they.

`docker` and `aws` are stand-ins that start this very program where they would start its image.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import ROOT, Cli, Ended, Site, clean_environment
from web.config import load
from web.cutover.tasks import form_of, make_task

#: The build that the site's source is, and one that it is not.
THE_SOURCE, ANOTHER = 3, 2

DOCKER = """\
#!{python}
import os, sys
words = sys.argv[1:]
assert words[:2] == ["run", "--rm"], words
words = words[2:]
given = {{"PATH": os.environ["PATH"]}}
while words[0] == "--env":
    given[words[1]] = os.environ[words[1]]
    words = words[2:]
assert words[0] == "registry.invalid/cleanstart:1"
os.chdir({root!r})
os.execve(sys.executable, [sys.executable, "-m", "web.cli", *words[1:]], given)
"""

AWS = """\
#!{python}
import json, os, pathlib, subprocess, sys
state = pathlib.Path(os.environ["STATE"])
def option(name):
    return sys.argv[sys.argv.index(name) + 1]
assert sys.argv[1] == "ecs" and option("--cluster") == "main"
if sys.argv[2] == "run-task":
    assert option("--task-definition") == "clinic-migrate"
    assert option("--network-configuration").startswith("awsvpcConfiguration={{subnets=[s-1,s-2],securityGroups=[g-1],")
    if os.environ.get("CAPACITY") == "none":
        print("None")
        sys.exit()
    (container,) = json.loads(option("--overrides"))["containerOverrides"]
    given = {{"PATH": os.environ["PATH"], "CLEANSTART_URL": os.environ["URL"]}}
    given["CLEANSTART_TOKEN"] = os.environ["SECRET"]
    command = [sys.executable, "-m", "web.cli", *container["command"]]
    done = subprocess.run(command, cwd={root!r}, env=given, stdout=sys.stderr)
    (state / "code").write_text(str(done.returncode))
    (state / "looks").write_text("")
    print("arn:aws:ecs:eu-central-1:1:task/main/1")
else:
    assert sys.argv[2] == "describe-tasks" and option("--tasks") == "arn:aws:ecs:eu-central-1:1:task/main/1"
    query = option("--query")
    if query == "tasks[0].lastStatus":
        if os.environ.get("LOST"):
            print("None")
            sys.exit()
        looks = (state / "looks").read_text() + "."
        (state / "looks").write_text(looks)
        print({{1: "PROVISIONING", 2: "RUNNING"}}.get(len(looks), "STOPPED"))
    elif query == "tasks[0].containers[0].exitCode":
        print((state / "code").read_text())
    else:
        assert query == "tasks[0].stoppedReason"
        print("Essential container in task exited")
"""


@pytest.fixture
def deploying(site: Site, tmp_path: Path) -> Path:
    """A folder with the files of every form, and the stand-ins in `bin`."""
    configuration = replace(load(site.config), public_url=site.address)
    for form in ("ecs", "compose", "github-actions"):
        for file in make_task(configuration, configuration.project("clinic"), form_of(form)):
            (tmp_path / file.name).write_text(file.text)
    (tmp_path / "bin").mkdir()
    for name, text in (("docker", DOCKER), ("aws", AWS)):
        program = tmp_path / "bin" / name
        program.write_text(text.format(python=sys.executable, root=str(ROOT)))
        program.chmod(0o755)
    return tmp_path


def run(folder: Path, script: list[str], variables: Mapping[str, str]) -> Ended:
    """Run a step with the stand-ins first in the path."""
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    environment = {**clean_environment(), **variables, "PATH": path, "STATE": str(folder), "PAUSE": "0"}
    done = subprocess.run(script, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


def ecs(folder: Path, site: Site, build: object, **more: str) -> Ended:
    stack = (folder / "ecs-migrate.cfn.yaml").read_text()
    address = re.search(r'Name: CLEANSTART_URL\n\s+Value: "(.*)"', stack)
    assert address is not None
    variables = {
        "BUILD": str(build),
        "ENVIRONMENT": "deployed",
        "CLUSTER": "main",
        "SUBNETS": "s-1,s-2",
        "SECURITY_GROUPS": "g-1",
        "SECRET": site.token,
        "URL": address[1],
        **more,
    }
    return run(folder, ["sh", "ecs-migrate.sh"], variables)


def workflow(folder: Path, site: Site, build: object, **more: str) -> Ended:
    """What GitHub's runner does with the one step."""
    content = yaml.safe_load((folder / "migrate-clinic.yml").read_text())
    (step,) = content["jobs"]["migrate"]["steps"]
    given = {
        "secrets.CLEANSTART_TOKEN": site.token,
        "vars.CLEANSTART_IMAGE": "registry.invalid/cleanstart:1",
        "inputs.environment": "deployed",
        "inputs.build": str(build),
        **more,
    }
    filled_in = {
        name: re.sub(r"\$\{\{ (\S+) \}\}", lambda found: given[found[1]], value)
        for name, value in step["env"].items()
    }
    return run(folder, ["bash", "-e", "-c", step["run"]], filled_in)


def compose(folder: Path, site: Site, build: object, **more: str) -> Ended:
    """What Compose does with the service that has to end well."""
    service = yaml.safe_load((folder / "compose.migrate.yaml").read_text())["services"]["migrate"]
    given = {
        "CLEANSTART_IMAGE": "registry.invalid/cleanstart:1",
        "CLEANSTART_TOKEN": site.token,
        "CLEANSTART_ENVIRONMENT": "deployed",
        "BUILD": str(build),
        **more,
    }

    def fill_in(text: str) -> str:
        return re.sub(r"\$\{(\w+)(:\?[^}]*)?\}", lambda found: given[found[1]], text)

    variables = {name: fill_in(value) for name, value in service["environment"].items()}
    command = ["docker", "run", "--rm", *(word for name in variables for word in ("--env", name))]
    return run(folder, [*command, fill_in(service["image"]), *map(fill_in, service["command"])], variables)


@pytest.mark.parametrize("form", [ecs, workflow, compose])
def test_where_the_migrate_fails_so_does_the_task(form: type, site: Site, deploying: Path) -> None:
    before = site.query("deployed", "SELECT version_num FROM alembic_version")
    for build in (ANOTHER, 999):
        done = form(deploying, site, build)
        assert done.code == 1 if form is ecs else done.code in (1, 3), done
        assert "build #" in (done.out + done.err).lower()
    assert site.query("deployed", "SELECT version_num FROM alembic_version") == before
    # Once it succeeds the roll-out goes on, also where nothing is pending any more.
    for _ in range(2):
        done = form(deploying, site, THE_SOURCE)
        assert done.code == 0, done
        assert site.query("deployed", "SELECT version_num FROM alembic_version") == [("c",)]


def test_production_is_held_back_by_its_gate(site: Site, deploying: Path) -> None:
    done = ecs(deploying, site, THE_SOURCE, ENVIRONMENT="production-behind")
    assert done.code == 1
    assert "No verified backup" in done.out + done.err
    assert "production-behind was not migrated: exit code" in done.err


def test_the_step_says_what_is_wrong_with_it(site: Site, deploying: Path) -> None:
    for more, said in (
        ({"CAPACITY": "none"}, "started no task"),
        ({"LOST": "1"}, "cannot be found any more"),
        ({"ENVIRONMENT": "nowhere"}, "ENVIRONMENT is one of"),
        ({"BUILD": "48; id"}, "BUILD is a number"),
        ({"BUILD": ""}, "BUILD is the number"),
        ({"URL": "http://127.0.0.1:9"}, "exit code 3"),
        ({"SECRET": "cst_wrong"}, "exit code"),
    ):
        done = ecs(deploying, site, THE_SOURCE, **more)
        assert done.code != 0, (more, done)
        assert said in done.err, (more, done)


def test_the_command_writes_the_files(site: Site, cli: Cli, tmp_path: Path) -> None:
    refused = cli("cut-over-task", "clinic", "--form", "compose")
    assert refused.code == 3
    assert "public_url" in refused.err
    config = site.folder / "public.toml"
    config.write_text(f'public_url = "https://db.acme.internal"\n{site.config.read_text()}')
    asked = ("cut-over-task", "clinic", "--config", config, "--form")
    shown = cli(*asked, "compose")
    assert shown.code == 0
    assert yaml.safe_load(shown.out)["services"]["migrate"]["environment"]["CLEANSTART_URL"].endswith(
        ".internal"
    )
    written = cli(*asked, "ecs", "--output", tmp_path / "deploy")
    assert written.code == 0
    assert {each.name for each in (tmp_path / "deploy").iterdir()} == {
        "ecs-migrate.cfn.yaml",
        "ecs-migrate.sh",
    }
    again = cli(*asked, "ecs", "--output", tmp_path / "deploy")
    assert again.code == 3
    assert "cannot be written" in again.err
    assert [each["name"] for each in cli(*asked, "manual", "--format", "json").json["files"]] == [
        "deployment.md"
    ]
    unknown = cli(*asked, "nomad")
    assert (unknown.code, "github-actions" in unknown.err) == (3, True)
