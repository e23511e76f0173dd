"""What hostile project code tries in a run on a target: it gets its database, its variables, and nothing of ours."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.tools.runs import Told, ask, confined, project_of, run_upgrade, upgrade
from tests.tools.written import linear, migration, write_project
from tests.walls.daemons import until_gone
from web.config import CodeLimits, Secret
from web.errors import SourceInvalid
from web.postgres.urls import secrets_of
from web.tools.ending import UpgradeStopped
from web.tools.events import Log
from web.tools.runner import ReportsGarbled


def keeping(expression: str, imports: str = "json, os") -> str:
    """A migration that puts what an expression gives into a table."""
    return migration(
        "a",
        None,
        f"import {imports}\nop.execute('CREATE TABLE got (what text)')\n"
        f"op.execute(sa.text('INSERT INTO got VALUES (:w)').bindparams(w=str({expression})))",
    )


async def got(
    tmp_path: Path, database: str, expression: str, imports: str = "json, os", **changed: Any
) -> str:
    project = replace(
        project_of(tmp_path, write_project(tmp_path, {"a": keeping(expression, imports)})), **changed
    )
    await upgrade(project, url=database, on_event=Told())
    return str((await ask(database, "SELECT what FROM got"))[0])


async def test_its_environment_is_an_allow_list(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEANSTART_STORE_URL", "canary-store")
    monkeypatch.setenv("CLINIC_KEY", "canary-key")
    given = {"APP_MODE": "migrate", "KEY": Secret("env:CLINIC_KEY")}
    found = json.loads(await got(tmp_path, database, "json.dumps(dict(os.environ))", env=given))
    assert (found["APP_MODE"], found["KEY"]) == ("migrate", "canary-key")
    assert "CLEANSTART_STORE_URL" not in found
    assert set(found) <= {
        "APP_MODE", "KEY", "DATABASE_URL", "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "HOME", "TMPDIR", "PWD",
        "PGAPPNAME", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONIOENCODING", "VIRTUAL_ENV",
    }  # fmt: skip


async def test_it_is_another_user_and_sees_nothing_of_ours(tmp_path: Path, database: str) -> None:
    secret = tmp_path / "secrets" / "url"
    secret.parent.mkdir()
    secret.write_text("canary")
    expression = (
        f"[os.getuid(), os.path.exists('/proc/{os.getpid()}/environ'), "
        f"os.path.exists({str(secret)!r}), os.listdir(os.environ['HOME'])]"
    )
    project = tmp_path / "shop"
    uid, sees_us, sees_secret, home = json.loads(await got(project, database, f"json.dumps({expression})"))
    assert uid != 0
    assert (sees_us, sees_secret, home) == (False, False, [])


async def test_a_secret_inside_of_the_checkout_is_covered(tmp_path: Path, database: str) -> None:
    (tmp_path / "url").write_text("canary")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "key").write_text("canary")
    hidden = (tmp_path / "url", tmp_path / "state")
    expression = f"[os.path.getsize({str(tmp_path / 'url')!r}), os.listdir({str(tmp_path / 'state')!r})]"
    assert await got(tmp_path, database, expression, hidden=hidden) == "[0, []]"


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment without packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    return tmp_path / "venv"


async def test_nothing_is_shown_because_the_project_says_so(
    tmp_path: Path, database: str, environment: Path
) -> None:
    """Its files name folders to import from: its alembic.ini, and its environment's .pth. Neither is a permission."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "key.py").write_text("canary = 1")
    tool = write_project(tmp_path / "shop", {"a": keeping(f"os.listdir({str(foreign)!r})")})
    ini = tmp_path / "shop" / "alembic.ini"
    ini.write_text(ini.read_text().replace("prepend_sys_path = .", f"prepend_sys_path = {foreign}"))
    (packages,) = environment.glob("lib/python3*/site-packages")
    (packages / "all.pth").write_text(
        "\n".join([*(each for each in sys.path if "-packages" in each), str(foreign)])
    )
    given = tuple(Path(each) for each in sys.path if "-packages" in each)
    project = replace(
        project_of(tmp_path / "shop", replace(tool, python=environment / "bin" / "python")),
        readable=given,
    )
    with pytest.raises(UpgradeStopped, match="FileNotFoundError"):
        await upgrade(project, url=database, on_event=Told())


async def test_further_files_are_named(tmp_path: Path, database: str) -> None:
    more = tmp_path / "more"
    more.mkdir()
    (more / "data").write_text("needed")
    found = await got(tmp_path / "shop", database, f"open({str(more / 'data')!r}).read()", readable=(more,))
    assert found == "needed"


async def test_what_it_leaves_running_ends_with_a_run_that_succeeded(tmp_path: Path, database: str) -> None:
    daemon = (
        "import os\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        os.execv('/bin/sleep', ['sleep', '6028'])\n    os._exit(0)\nos.wait()"
    )
    tool = write_project(tmp_path, {"a": migration("a", None, daemon)})
    assert (await run_upgrade(tmp_path, tool, database)).applied == ("a",)
    assert until_gone("6028")


async def test_its_memory_is_limited(tmp_path: Path, database: str) -> None:
    tool = write_project(tmp_path, {"a": migration("a", None, "bytearray(700 << 20)")})
    project = replace(project_of(tmp_path, tool), limits=CodeLimits(memory=512 << 20))
    with pytest.raises(UpgradeStopped, match="MemoryError"):
        await upgrade(project, url=database, on_event=Told())


@pytest.mark.parametrize(
    "written",
    [
        b"no json\n",
        b'["a", "list"]\n',
        b"\xff\xfe\n",
        b'{"event": "connected"}\n',
        b'{"event": "connected", "pid": 1, "ask": 1, "backend_start": "yesterday"}\n',
        b'{"event": "planned", "revisions": 7}\n',
        b'{"event": "executed", "number": "x", "seconds": [], "rows": {}}\n',
        b"[" * 100_000 + b"\n",
    ],
    ids=["text", "list", "bytes", "half", "no time", "no list", "no number", "deep"],
)
async def test_garbage_on_the_pipe_is_the_projects_failure(
    tmp_path: Path, database: str, written: bytes
) -> None:
    """It writes to every descriptor that it finds: ours is among them."""
    spray = (
        "import os\nfor fd in range(3, 64):\n"
        f"    try:\n        os.write(fd, {written!r})\n    except OSError:\n        pass"
    )
    tool = write_project(tmp_path, {"a": migration("a", None, spray)})
    with pytest.raises(ReportsGarbled):
        await run_upgrade(tmp_path, tool, database)


async def test_secrets_are_masked_in_what_it_prints(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLINIC_KEY", "canary-of-the-project")
    password = secrets_of(database)[0]
    prints = (
        "import os, base64\n"
        "for text in (os.environ['DATABASE_URL'], os.environ['KEY']):\n"
        "    print('plain', text)\n"
        "    for before in ('', 'x', 'xy'):\n"
        "        print('base64', base64.b64encode((before + text).encode()).decode())"
    )
    tool = write_project(tmp_path, {"a": migration("a", None, prints)})
    project = replace(project_of(tmp_path, tool), env={"KEY": Secret("env:CLINIC_KEY")})
    told = Told()
    await upgrade(project, url=database, on_event=told)
    said = "\n".join(event.text for event in told.of(Log))
    assert said.count("plain") == 2
    assert said.count("base64") == 6
    assert password not in said
    assert "canary-of-the-project" not in said
    for line in [line for line in said.splitlines() if line.startswith(("plain", "base64"))]:
        word = line.split()[-1]
        assert "•••" in word
        for start in range(len(word) if line.startswith("base64") else 0):
            text = word[start:].encode("ascii", "ignore")
            decoded = base64.b64decode(text[: len(text) // 4 * 4])
            assert password.encode() not in decoded


@pytest.mark.skipif(os.geteuid() != 0, reason="as an ordinary user there is one user for all")
async def test_a_checkout_that_its_user_cannot_read_is_named(tmp_path: Path, database: str) -> None:
    tool = linear(tmp_path / "shop", 1)
    (tmp_path / "shop").chmod(0o700)
    with pytest.raises(SourceInvalid, match="cannot be reached by the user cleanstart-project") as refused:
        await confined(project_of(tmp_path / "shop", tool), database)
    assert "chmod" in refused.value.hint
