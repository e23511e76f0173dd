"""What keeps running on a machine: starting twice, restarting, processes that are killed, and Ctrl-C.

The tests tell one story of one demo. It is made once, and runs on from test to test where none of them ends it.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from tests.started import (
    CLEANSTART,
    PATIENCE,
    SignIn,
    Started,
    alive,
    answering,
    answers,
    clean_environment,
    cmdline,
    start,
    until,
)
from web.cli.listening import AddressUnavailable, listen
from web.postgres.server_files import processes_in_folders

#: What "within seconds" may be on a busy machine. Open streams that were waited for would take for ever.
SECONDS = 20.0

Start = Callable[..., Started]

pytestmark = pytest.mark.xdist_group("one demo")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with folders that are named as ours, as a person's project may have them."""
    folder = tmp_path_factory.mktemp("a project")
    for name in ("web", "demo", "alembic"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise RuntimeError('not ours')\n")
    yield folder
    # As root its data lie elsewhere, where only the server's own user gets.
    subprocess.run([CLEANSTART, "demo", "--clean"], cwd=folder, env=clean_environment(), check=True)
    assert not (folder / ".cleanstart").exists()


@pytest.fixture
def starting(folder: Path, tmp_path: Path) -> Iterator[Start]:
    """Start `cleanstart` with these arguments; whatever is left of it ends with the test."""
    begun: list[Started] = []

    def begin(*arguments: str) -> Started:
        begun.append(start(arguments, folder, tmp_path / f"said-{len(begun)}"))
        return begun[-1]

    yield begin
    for each in begun:
        each.destroy()


@dataclass
class Demo:
    """The demo of the story; `starts` are all that there were."""

    folder: Path
    starts: list[Started] = field(default_factory=list)

    def start(self) -> Started:
        """Start it, with what it says in a file of its own."""
        output = self.folder / f"said-{len(self.starts)}"
        self.starts.append(start(["demo", "--port", "0"], self.folder, output))
        return self.starts[-1]

    def answers(self) -> SignIn:
        """Wait until it is ready."""
        return answering(self.starts[-1], self.folder / ".cleanstart")


@pytest.fixture(scope="module")
def story(folder: Path) -> Iterator[Demo]:
    """The demo, running or not; whatever is left of it ends with the module."""
    demo = Demo(folder)
    yield demo
    for each in demo.starts:
        each.destroy()
    for process in processes_in_folders([folder]):
        process.kill()


@pytest.fixture
def demo(story: Demo) -> tuple[Started, SignIn]:
    """The running demo: the one that the test before left, or it is started."""
    if not story.starts or story.starts[-1].process.poll() is not None:
        story.start()
    return story.starts[-1], story.answers()


def dev_url(folder: Path) -> str:
    return (folder / ".cleanstart" / "secrets" / "clinic_dev_url").read_text().strip()


def test_ctrl_c_while_the_sample_is_made(story: Demo) -> None:
    started = story.start()
    until(lambda: "Creating" in started.said, "the sample is not made", lambda: started.said)
    assert started.end() < SECONDS
    assert started.process.returncode == 0, started.said
    assert started.left() == []


def test_a_restart_keeps_the_data_and_makes_nothing_anew(story: Demo, folder: Path) -> None:
    # It finishes what the test before began.
    started = story.start()
    first = story.answers()
    with psycopg.connect(dev_url(folder), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS it")
    started.end()
    assert started.process.returncode == 0, started.said
    assert "Creating" in started.said

    again = story.start()
    second = story.answers()
    assert second.password == first.password
    with httpx.Client() as client:
        second.enter(client)
        assert "Clinic" in client.get(second.address).text
    with psycopg.connect(dev_url(folder)) as connection:
        assert connection.execute("SELECT it FROM kept").fetchall() == [(1,)]
    assert "Creating" not in again.said


def test_ctrl_c_ends_open_streams_and_everything_else(demo: tuple[Started, SignIn]) -> None:
    started, sign_in = demo
    opened, ended = threading.Semaphore(0), []

    def read_on(path: str) -> None:
        with httpx.Client(timeout=httpx.Timeout(PATIENCE)) as client:
            sign_in.enter(client)
            with client.stream("GET", sign_in.address + path) as answer:
                assert answer.status_code == 200
                lines = answer.iter_lines()
                next(lines)
                opened.release()
                for _ in lines:
                    pass
        ended.append(path)

    # Each signs in by itself; at the same time there would be too many for the limiter.
    paths = ["/stream", "/projects/clinic/environments/dev/stream", "/stream"]
    readers = [threading.Thread(target=read_on, args=(path,), daemon=True) for path in paths]
    for reader in readers:
        reader.start()
        assert opened.acquire(timeout=60), started.said
    assert started.end() < SECONDS
    for reader in readers:
        reader.join(SECONDS)
    assert sorted(ended) == sorted(paths), "a stream was cut off instead of ended"
    assert started.process.returncode == 0, started.said
    assert started.left() == []
    assert "Traceback" not in started.said


def test_terminating_it_is_like_ctrl_c(demo: tuple[Started, SignIn]) -> None:
    started, _ = demo
    assert started.end(signal.SIGTERM) < SECONDS
    assert started.process.returncode == 0, started.said
    assert started.left() == []


def test_ctrl_c_while_it_still_starts(story: Demo) -> None:
    started = story.start()
    until(lambda: started.look(), "nothing was started")
    assert started.end() < SECONDS
    assert started.process.returncode == 0, started.said
    assert started.left() == []
    assert "Traceback" not in started.said


def test_a_second_demo_on_the_same_folder_is_refused(
    demo: tuple[Started, SignIn], starting: Start, folder: Path
) -> None:
    started, sign_in = demo
    for arguments, said in ((["--port", "0"], "The demo runs already"), (["--clean"], "is in use by")):
        second = starting("demo", *arguments)
        assert second.process.wait(60) == 1, second.said
        assert said in second.said
        assert str(started.process.pid) in second.said, "it says who has it"
        assert "Traceback" not in second.said
    assert answers(sign_in.address)
    with psycopg.connect(dev_url(folder)) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM patients").fetchall() == [(True,)]


@pytest.mark.parametrize("command", ["worker", "serve"])
def test_a_killed_process_is_started_again(demo: tuple[Started, SignIn], command: str) -> None:
    started, sign_in = demo
    before = len(started.said)
    killed = started.child(command)
    killed.kill()
    psutil.wait_procs([killed], timeout=10)
    fresh = until(
        lambda: next((each for each in [started.child(command)] if each != killed and alive(each)), None),
        f"{command} is not started again",
        lambda: started.said,
    )
    assert fresh.pid != killed.pid
    until(lambda: answers(sign_in.address), "the web server does not answer", lambda: started.said)
    assert "starting it again" in started.said[before:]


def test_a_killed_postgresql_is_started_again(demo: tuple[Started, SignIn], folder: Path) -> None:
    started, sign_in = demo
    # Not a scratch server: those are the worker's.
    (killed,) = [
        each for each in started.children() if Path(next(iter(cmdline(each)), "")).name == "postgres"
    ]
    killed.kill()
    until(lambda: "it is started again" in started.said, "nobody noticed", lambda: started.said)
    until(lambda: answers(sign_in.address), "the store does not answer", lambda: started.said)
    with psycopg.connect(dev_url(folder)) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM patients").fetchall() == [(True,)]
    started.end()
    assert started.process.returncode == 0, started.said
    assert started.left() == []


def test_when_the_parent_is_killed_everything_ends(demo: tuple[Started, SignIn]) -> None:
    started, _ = demo
    started.child("worker")
    started.look()
    started.process.kill()
    started.process.wait()
    until(lambda: not started.left(), "these live on:", lambda: str(started.left()))


@pytest.mark.parametrize("command", ["demo", "up"])
def test_a_port_in_use_is_named_before_anything_is_started(
    starting: Start, folder: Path, tmp_path: Path, command: str
) -> None:
    place = tmp_path / "not made"
    (tmp_path / "cleanstart.toml").write_text(f'data_directory = "{place}"\n')
    options = {"demo": ["--directory", str(place)], "up": ["--config", str(tmp_path / "cleanstart.toml")]}
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        started = starting(command, "--port", str(port), *options[command])
        assert started.process.wait(60) == 3
    assert f"127.0.0.1:{port}" in started.said
    assert f"--port {port + 1}" in started.said
    assert "Traceback" not in started.said
    assert not place.exists()


@pytest.mark.parametrize("options", [[], ["--clean"]])
def test_a_folder_of_something_else_is_left_alone(
    starting: Start, tmp_path: Path, options: list[str]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter.txt").write_text("mine")
    started = starting("demo", "--port", "0", "--directory", str(home), *options)
    assert started.process.wait(60) == 1
    assert f"{home} holds something that is no demo" in started.said
    assert [each.name for each in home.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("command", ["demo", "up", "serve"])
def test_plain_http_is_for_loopback_only(starting: Start, tmp_path: Path, command: str) -> None:
    place = tmp_path / "not made"
    (tmp_path / "cleanstart.toml").write_text(f'data_directory = "{place}"\n')
    options = ["--config", str(tmp_path / "cleanstart.toml")]
    given = ["--directory", str(place)] if command == "demo" else options
    started = starting(command, "--host", "0.0.0.0", "--port", "0", *given)
    assert started.process.wait(60) == 3
    assert "without a public_url would show passwords" in started.said
    assert not place.exists()


def test_a_port_is_nobody_elses_from_the_start() -> None:
    with listen("127.0.0.1", 0) as sock:
        with pytest.raises(AddressUnavailable, match="Something else listens"):
            listen("127.0.0.1", sock.getsockname()[1])
        # Who comes early waits for an answer instead of being refused.
        socket.create_connection(sock.getsockname(), timeout=5).close()
    with pytest.raises(AddressUnavailable, match="Cannot listen"):
        listen("192.0.2.1", 8321)
