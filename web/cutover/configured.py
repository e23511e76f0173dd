"""What starts containers and pipelines: Dockerfile, Compose, Procfile, Kubernetes, Amazon ECS, CI files, Makefiles.

Each becomes places: a command with its line and when it runs. YAML is only composed, never constructed: no tag is
followed, and what an alias repeats is read once.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from web.cutover.findings import When
from web.cutover.source_tree import SourceFile

#: Characters of a YAML or JSON file that are composed: it is slow, and nobody writes longer ones.
LONGEST_YAML = 256 * 1024

_CI_NAMES = frozenset({
    ".gitlab-ci.yml", ".gitlab-ci.yaml", "azure-pipelines.yml", "azure-pipelines.yaml",
    "bitbucket-pipelines.yml", ".drone.yml", ".travis.yml", "buildspec.yml", "buildspec.yaml",
    "cloudbuild.yaml", "cloudbuild.yml", "appveyor.yml", ".woodpecker.yml",
})  # fmt: skip
_CI_FOLDERS = (".github/workflows/", ".circleci/", ".gitlab/", ".buildkite/", ".woodpecker/", ".azure/")
_COMPOSE = ("compose*.y*ml", "docker-compose*.y*ml", "*.compose.y*ml")
_STARTED_BY_NAME = re.compile(
    r"(docker-)?entry-?point|start(-?up)?|pre-?start|boot(strap)?|run(-?server)?|launch", re.IGNORECASE
)
_TESTS = re.compile(
    r"(^|[^a-z])(unit-?)?(tests?|testing|pytest|e2e|lint|check|checks|integration|coverage)([^a-z]|$)",
    re.IGNORECASE,
)
#: A here-document begins.
_HERE = re.compile(r"<<-?\s*['\"]?([A-Za-z_]\w*)")
_INIT_KEYS = frozenset({"initContainers"})
#: Keys of pipelines whose values nobody runs.
_NO_SCRIPTS = frozenset({"name", "if", "description", "image", "env", "environment", "variables"})
_COMMAND_KEYS = frozenset({"command", "args", "entrypoint", "entryPoint", "Command", "EntryPoint"})


@dataclass(frozen=True, slots=True)
class Place:
    """A command that something runs."""

    #: Of the file.
    line: int
    #: Shell text, or an array of words.
    command: str | tuple[str, ...]
    when: When
    #: What runs it, for people: “the entry point of the image”.
    by: str
    certain: bool = True


class Unreadable(Exception):
    """The file is not what its name says, or nested too deeply."""


def places(file: SourceFile) -> Iterator[Place]:
    """Everything that the file has something run. Raises Unreadable."""
    name, path = file.name, file.path
    lower = name.lower()
    if _matches(lower, ("dockerfile", "dockerfile.*", "*.dockerfile", "containerfile", "containerfile.*")):
        yield from _dockerfile(file.text)
    elif _matches(lower, ("procfile", "procfile.*")):
        yield from _procfile(file.text)
    elif is_shell(file):
        at_start = _STARTED_BY_NAME.fullmatch(name.partition(".")[0]) is not None
        yield Place(1, file.text, "start-up" if at_start else "by hand", "a script", certain=False)
    elif _matches(lower, ("makefile", "*.mk", "gnumakefile", "justfile")):
        yield from _makefile(file.text)
    elif lower == "fly.toml":
        yield from _lines(file.text, r"\s*release_command\s*=\s*(.*)", "deployment", "the release command")
    elif _matches(lower, ("supervisord*.conf", "*.service")):
        yield from _lines(
            file.text, r"\s*(?:command|ExecStart(?:Pre)?)\s*=\s*-?(.*)", "start-up", "the service"
        )
    elif lower == "jenkinsfile":
        yield Place(1, _jenkins(file.text), "deployment", "the pipeline", certain=False)
    elif lower in _CI_NAMES or path.startswith(_CI_FOLDERS):
        if lower.endswith((".yml", ".yaml")):
            yield from _pipeline(_compose(file.text))
    elif lower.endswith((".yml", ".yaml")) and _matches(lower, _COMPOSE):
        if not _TESTS.search(name):
            yield from _services(_compose(file.text))
    elif lower.endswith((".yml", ".yaml", ".json")):
        yield from _containers(file)


def is_shell(file: SourceFile) -> bool:
    """Whether it is a shell script, by its name or its first line."""
    return (
        file.name.endswith((".sh", ".bash"))
        or re.match(r"#! ?\S*/(env )?(ba|da|a|k|z)?sh\b", file.text) is not None
    )


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, each) for each in patterns)


def _dockerfile(text: str) -> Iterator[Place]:
    for line, instruction, rest in _instructions(text):
        if instruction in ("CMD", "ENTRYPOINT"):
            yield Place(line, _array(rest) or rest, "start-up", f"the image's {instruction}")
        elif instruction == "RUN":
            rest = re.sub(r"^(--\S+\s+)+", "", rest)
            yield Place(line, _array(rest) or rest, "deployment", "the image's build")


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Instructions with their first line; continued lines keep their line breaks."""
    begun: list[str] = []
    first, ends_at = 0, None
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if ends_at is None and (stripped.startswith("#") or (not stripped and not begun)):
            continue
        if not begun:
            first = number
        begun.append(line)
        if ends_at is not None:
            if stripped != ends_at:
                continue
            ends_at = None
        elif (here := _HERE.search(line)) is not None:
            ends_at = here[1]
            continue
        elif stripped.endswith("\\"):
            continue
        yield from _instruction(first, begun)
        begun = []
    if begun:
        yield from _instruction(first, begun)


def _instruction(first: int, lines: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    word, _, rest = "\n".join(lines).strip().partition(" ")
    if word.upper() == "HEALTHCHECK":
        return
    if word.upper() == "RUN" and _HERE.search(lines[0]) is not None:
        # A here-document is the script itself.
        yield first + 1, "RUN", "\n".join(lines[1:-1])
    else:
        yield first, word.upper(), rest


def _array(text: str) -> tuple[str, ...] | None:
    """The words of an instruction's JSON form."""
    joined = re.sub(r"\\\n", " ", text).strip()
    if not joined.startswith("["):
        return None
    try:
        found = json.loads(joined)
    except (ValueError, RecursionError):
        return None
    return tuple(found) if isinstance(found, list) and all(isinstance(each, str) for each in found) else None


def _procfile(text: str) -> Iterator[Place]:
    for line, process in enumerate(text.splitlines(), start=1):
        name, colon, command = process.partition(":")
        if colon and not name.strip().startswith("#"):
            released = name.strip() == "release"
            yield Place(
                line, command, "deployment" if released else "start-up", f"the process “{name.strip()[:40]}”"
            )


def _makefile(text: str) -> Iterator[Place]:
    for line, recipe in enumerate(text.splitlines(), start=1):
        if recipe[:1].isspace():
            yield Place(line, recipe.strip().lstrip("@-"), "by hand", "a recipe")


def _lines(text: str, pattern: str, when: When, by: str) -> Iterator[Place]:
    for line, written in enumerate(text.splitlines(), start=1):
        if (found := re.fullmatch(pattern, written)) is not None:
            yield Place(line, found[1].strip().strip("\"'"), when, by)


def _jenkins(text: str) -> str:
    """What `sh` is given, each on its line."""
    return "\n".join(
        line[given.end() :].strip("'\" \t)")
        if (given := re.search(r"\bsh\b[^'\"]{0,40}['\"]", line)) is not None
        else ""
        for line in text.splitlines()
    )


def _compose(text: str) -> tuple[yaml.Node, ...]:
    """The documents as nodes, which know their lines. Raises Unreadable."""
    if len(text) > LONGEST_YAML:
        raise Unreadable(f"longer than {LONGEST_YAML >> 10} KiB")
    try:
        return tuple(each for each in yaml.compose_all(text, yaml.SafeLoader) if each is not None)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        raise Unreadable("not valid YAML" + (f", line {line + 1}" if line is not None else "")) from error


def _pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    """The keys and values of a mapping, with those that `<<` merges into it."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value == "<<" and isinstance(value, yaml.MappingNode) and value is not node:
                yield from (
                    (k.value, v) for k, v in value.value if isinstance(k, yaml.ScalarNode) and k.value != "<<"
                )
            else:
                yield key.value, value


def _get(node: yaml.Node | None, *keys: str) -> yaml.Node | None:
    for key in keys:
        node = next((value for name, value in _pairs(node) if name == key), None)
    return node


def _commands(node: yaml.Node | None) -> Iterator[tuple[int, str | tuple[str, ...]]]:
    """A command as text or as an array."""
    if isinstance(node, yaml.ScalarNode):
        # A block begins on the line after its `|`.
        yield node.start_mark.line + (2 if node.style in ("|", ">") else 1), node.value
    elif isinstance(node, yaml.SequenceNode):
        words = tuple(each.value for each in node.value if isinstance(each, yaml.ScalarNode))
        yield node.start_mark.line + 1, words


def _services(documents: Sequence[yaml.Node]) -> Iterator[Place]:
    for document in documents:
        services = _get(document, "services")
        once = {
            name
            for _, service in _pairs(services)
            for name, condition in _pairs(_get(service, "depends_on"))
            if isinstance(value := _get(condition, "condition"), yaml.ScalarNode)
            and value.value == "service_completed_successfully"
        }
        for name, service in _pairs(services):
            tools = _get(service, "profiles") is not None
            when: When = "by hand" if tools else "deployment" if name in once else "start-up"
            for key in ("entrypoint", "command"):
                for line, command in _commands(_get(service, key)):
                    yield Place(line, command, when, f"the service “{name[:40]}”")


def _pipeline(documents: Sequence[yaml.Node]) -> Iterator[Place]:
    """Every text of a CI file; jobs that test, or bring a database of their own, are left out."""
    for document in documents:
        jobs = _get(document, "jobs") or document
        for name, job in _pairs(jobs):
            named = _get(job, "name")
            title = f"{name} {named.value}" if isinstance(named, yaml.ScalarNode) else name
            stage = _get(job, "stage")
            if isinstance(stage, yaml.ScalarNode):
                title += f" {stage.value}"
            if _TESTS.search(title) or _get(job, "services") is not None:
                continue
            for line, text in _texts(job):
                yield Place(line, text, "deployment", f"the job “{name[:40]}”")


def _containers(file: SourceFile) -> Iterator[Place]:
    """Commands of Kubernetes' and Amazon's containers, wherever in a file they stand."""
    kinds = ("kind:", '"kind"', "containerDefinitions", "ContainerDefinitions")
    if not any(each in file.text for each in kinds):
        return
    if "{{" in file.text and file.path.lower().endswith((".yml", ".yaml")):
        yield from _template(file.text)
        return
    for document in _compose(file.text):
        kind = _get(document, "kind")
        once = isinstance(kind, yaml.ScalarNode) and kind.value in ("Job", "CronJob")
        yield from _below(document, "deployment" if once else "start-up")


def _below(document: yaml.Node, when: When) -> Iterator[Place]:
    """Each container's command and arguments together, as one command."""
    waiting: list[tuple[yaml.Node, str]] = [(document, "the container")]
    seen: set[int] = set()
    while waiting:
        node, by = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting.extend((each, by) for each in node.value)
        pairs = [*_pairs(node)]
        words: list[str] = []
        line = None
        for key in ("command", "entryPoint", "EntryPoint", "args", "Command"):
            for at, command in _commands(next((value for name, value in pairs if name == key), None)):
                line = line or at
                words += [command] if isinstance(command, str) else command
        if line is not None:
            yield Place(line, tuple(words), when, by)
        waiting.extend(
            (value, "the init container" if name in _INIT_KEYS else by)
            for name, value in pairs
            if name not in _COMMAND_KEYS and "probe" not in name.lower() and name.lower() != "healthcheck"
        )


def _template(text: str) -> Iterator[Place]:
    """A Helm template is no YAML before it is filled in: its lines are read."""
    kind = re.search(r"^kind:\s*(\w+)", text, re.MULTILINE)
    once = kind is not None and kind[1] in ("Job", "CronJob")
    for line, written in enumerate(text.splitlines(), start=1):
        if not written.lstrip().startswith(("#", "{{/*")):
            command = re.sub(r"^\s*(-\s+)?((command|args):\s*)?", "", written)
            words = _array(command)
            yield Place(
                line,
                words or command.strip("\"'"),
                "deployment" if once else "start-up",
                "the chart",
                certain=False,
            )


def _texts(root: yaml.Node) -> Iterator[tuple[int, str]]:
    """Every value that is a text, once."""
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            yield from ((line, text) for line, text in _commands(node) if isinstance(text, str))
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
        else:
            waiting.extend(value for name, value in _pairs(node) if name not in _NO_SCRIPTS)
