"""The task's files are what CloudFormation, Compose and GitHub take, by these tools' own rules."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.configured import configuration, environment, project
from tests.tools.written import migration, write_project
from web.config import Configuration
from web.config.values import Tier
from web.cutover.tasks import FORMS, NoPublicUrl, form_of, in_order, make_task
from web.errors import Conflict, NotFound


@pytest.fixture
def configured(tmp_path: Path) -> Configuration:
    """A project whose names mean something else in YAML, and whose production stands first."""
    tool = write_project(tmp_path / "source", {"a": migration("a", None)})
    somewhere = environment(tmp_path, "postgresql:///nowhere")
    tiers: dict[str, Tier] = {"production": "production", "on": "development", "1e3": "staging"}
    clinic = replace(
        project(tmp_path / "source", tool, somewhere),
        title="Clinic `$(id)` <b>",
        environments={name: replace(somewhere, name=name, tier=tier) for name, tier in tiers.items()},
    )
    return replace(configuration(tmp_path, clinic), public_url="https://db.acme.internal:8443")


def files(configured: Configuration, form: str, folder: Path) -> dict[str, Path]:
    """Write a form's files."""
    made = {
        each.name: each.text for each in make_task(configured, configured.project("clinic"), form_of(form))
    }
    for name, text in made.items():
        (folder / name).write_text(text)
    return {name: folder / name for name in made}


def program(name: str, *arguments: object) -> None:
    """Run a validator, which has nothing to say."""
    command = [str(Path(sys.executable).with_name(name)), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_production_is_the_last(configured: Configuration) -> None:
    assert in_order(configured.project("clinic")) == ("on", "1e3", "production")


def test_the_stack_is_what_cloudformation_takes(configured: Configuration, tmp_path: Path) -> None:
    made = files(configured, "ecs", tmp_path)
    program("cfn-lint", "--include-checks", "I", "--", made["ecs-migrate.cfn.yaml"])
    text = made["ecs-migrate.cfn.yaml"].read_text()
    assert 'Value: "https://db.acme.internal:8443"' in text
    assert "ValueFrom: !Ref TokenSecretArn" in text


def test_the_step_is_a_posix_script(configured: Configuration, tmp_path: Path) -> None:
    script = files(configured, "ecs", tmp_path)["ecs-migrate.sh"]
    for shell in ("sh", "bash"):
        assert subprocess.run([shell, "-n", script], check=False).returncode == 0


def test_the_service_is_what_compose_takes(configured: Configuration, tmp_path: Path) -> None:
    made = files(configured, "compose", tmp_path)["compose.migrate.yaml"]
    program("check-jsonschema", "--builtin-schema", "vendor.compose-spec", made)
    services = yaml.safe_load(made.read_text())["services"]
    assert services["app"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert services["migrate"]["environment"]["CLEANSTART_TOKEN"].startswith("${CLEANSTART_TOKEN:?")
    # Compose would start it again until it succeeds, or not at all.
    assert services["migrate"]["restart"] == "no"


def test_the_workflow_is_what_github_takes(configured: Configuration, tmp_path: Path) -> None:
    made = files(configured, "github-actions", tmp_path)["migrate-clinic.yml"]
    program("check-jsonschema", "--builtin-schema", "vendor.github-workflows", made)
    # YAML 1.1 reads `on` as true, GitHub does not.
    workflow = yaml.load(made.read_text(), yaml.BaseLoader)  # noqa: S506 (texts only)
    assert workflow["on"]["workflow_dispatch"]["inputs"]["environment"]["options"] == [
        "on",
        "1e3",
        "production",
    ]
    # Nothing of a caller's gets into the shell's text.
    (step,) = workflow["jobs"]["migrate"]["steps"]
    assert "${{" not in step["run"]
    assert step["env"]["CLEANSTART_TOKEN"] == "${{ secrets.CLEANSTART_TOKEN }}"


def test_the_checklist_goes_through_every_environment(configured: Configuration, tmp_path: Path) -> None:
    text = files(configured, "manual", tmp_path)["deployment.md"].read_text()
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == ["# Deploying Clinic id b: migrations by hand", "## on", "## 1e3", "## production"]
    assert text.count("verified backup") == 1
    assert "--build N --confirm clinic/production --wait" in text


@pytest.mark.parametrize("form", [each.name for each in FORMS])
def test_no_form_holds_a_secret(form: str, configured: Configuration, tmp_path: Path) -> None:
    for made in files(configured, form, tmp_path).values():
        text = made.read_text()
        assert "postgresql:" not in text
        assert "cst_" not in text
        assert "<<" not in text
        assert "$(id)" not in text


def test_what_cannot_be_filled_in_is_refused(configured: Configuration, tmp_path: Path) -> None:
    clinic = configured.project("clinic")
    with pytest.raises(NoPublicUrl):
        make_task(replace(configured, public_url=None), clinic, form_of("ecs"))
    with pytest.raises(NoPublicUrl):
        make_task(replace(configured, public_url='https://db"$(id)'), clinic, form_of("ecs"))
    with pytest.raises(Conflict):
        make_task(configured, replace(clinic, environments={}), form_of("manual"))
    with pytest.raises(NotFound) as refusal:
        form_of("nomad")
    assert "github-actions" in refusal.value.hint


def test_the_names_of_the_container_agree(configured: Configuration, tmp_path: Path) -> None:
    made = files(configured, "ecs", tmp_path)
    stack = made["ecs-migrate.cfn.yaml"].read_text()
    script = made["ecs-migrate.sh"].read_text()
    overrides = (
        script[script.index("'{") : script.index("--query")]
        .replace("'\"$place\"'", "p")
        .replace("'\"$BUILD\"'", "1")
    )
    (container,) = json.loads(overrides.strip().rstrip("\\").strip().strip("'"))["containerOverrides"]
    assert container["command"] == ["migrate", "p", "--build", "1", "--confirm", "p", "--wait"]
    assert f"Name: {container['name']}\n" in stack
    assert "Family: clinic-migrate\n" in stack
    assert "--task-definition clinic-migrate " in script
