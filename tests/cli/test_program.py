"""Wrong settings: every command names them, and takes none for a mistake in Clean Start."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from web.cli.program import run

COMMANDS = (
    ["status"],
    ["doctor"],
    ["up", "--port", "0"],
    ["serve", "--port", "0"],
    ["worker"],
    ["upgrade"],
    ["users", "list"],
    ["backup", "clinic/dev"],
)
READ_URL = [(command, "url") for command in COMMANDS]
READ_OWNER_URL = [(command, "owner_url") for command in COMMANDS if command[0] in ("doctor", "up", "upgrade")]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def without_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """What servers log with is this process's, and stays as it is."""
    for module in ("serving", "working"):
        monkeypatch.setattr(f"web.cli.{module}.set_up_logging", lambda: None)


def said(capsys: Captured, *arguments: str) -> tuple[int, str]:
    """The exit code, and what was printed; it is never a mistake of ours."""
    capsys.readouterr()
    code = run(arguments)
    printed = capsys.readouterr()
    everything = printed.out + printed.err
    assert "mistake in Clean Start" not in everything
    assert "Traceback" not in everything
    return code, everything


def named(command: list[str]) -> str:
    return command[0]


@pytest.mark.parametrize("command", COMMANDS, ids=named)
@pytest.mark.parametrize(
    ("directory", "reason"),
    [("a-file", "a-file is not a folder"), ("/proc/x", "nothing can be made in /proc")],
)
def test_a_data_directory_that_cannot_be(
    tmp_path: Path, capsys: Captured, command: list[str], directory: str, reason: str
) -> None:
    (tmp_path / "a-file").touch()
    config = tmp_path / "cleanstart.toml"
    config.write_text(f'data_directory = "{directory}"\n')
    code, words = said(capsys, *command, "--config", str(config))
    assert code == (1 if command == ["doctor"] else 3)
    assert reason in words
    assert "data_directory" in words


@pytest.mark.parametrize(
    ("directory", "reason"),
    [("a-file", "a-file is not a folder"), ("/proc/x", "nothing can be made in /proc")],
)
def test_a_demo_where_nothing_can_be_kept(
    tmp_path: Path, capsys: Captured, directory: str, reason: str
) -> None:
    (tmp_path / "a-file").touch()
    code, words = said(capsys, "demo", "--port", "0", "--directory", str(tmp_path / directory))
    assert code == 3
    assert reason in words
    assert "--directory" in words


def test_a_demo_to_forget_that_is_a_file(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "a-file").touch()
    code, words = said(capsys, "demo", "--clean", "--directory", str(tmp_path / "a-file"))
    assert (code, (tmp_path / "a-file").is_file()) == (3, True)
    assert "a-file is not a folder" in words


@pytest.mark.parametrize(("command", "key"), [*READ_URL, *READ_OWNER_URL], ids=str)
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("junk secret1234", "cannot be read"),
        ("postgresql://u:secret1234@127.0.0.1:port/x", "cannot be read"),
        ("mysql://u:secret1234@127.0.0.1/x", "must begin with postgresql://"),
        ("mysql+pymysql://u:secret1234@127.0.0.1/x", "must begin with postgresql://"),
    ],
)
def test_a_store_that_is_named_by_no_url(
    tmp_path: Path, capsys: Captured, command: list[str], url: str, reason: str, key: str
) -> None:
    for name in ("url", "owner_url"):
        written = url if name == key else "postgresql://u@127.0.0.1:9/x"
        (tmp_path / name).write_text(written)
    config = tmp_path / "cleanstart.toml"
    config.write_text('[store]\nurl = "file:url"\nowner_url = "file:owner_url"\n')
    code, words = said(capsys, *command, "--config", str(config))
    assert code == (1 if command == ["doctor"] else 3)
    assert f"store.{key}: file:" in words
    assert reason in words
    assert "postgresql://USER:PASSWORD@HOST:PORT/DATABASE" in words
    assert "secret1234" not in words


@pytest.fixture(scope="module")
def not_postgresql() -> Iterator[int]:
    """A port where something answers that is no PostgreSQL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    with listening.accept()[0] as connection:
                        connection.recv(1024)
                        connection.sendall(b"220 mail.example ESMTP\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        answering.join()


@pytest.mark.parametrize("command", COMMANDS, ids=named)
@pytest.mark.parametrize("place", ["127.0.0.1:1", "127.0.0.1:99999", "?host=/nonexistent", "127.0.0.1:{}"])
def test_a_store_that_does_not_answer(
    tmp_path: Path, capsys: Captured, command: list[str], place: str, not_postgresql: int
) -> None:
    (tmp_path / "url").write_text(f"postgresql://u:secret1234@{place.format(not_postgresql)}")
    config = tmp_path / "cleanstart.toml"
    config.write_text('[store]\nurl = "file:url"\n')
    code, words = said(capsys, *command, "--config", str(config))
    assert code == (1 if command == ["doctor"] else 3)
    assert "The store cannot be reached: " in words
    assert "correct [store].url and owner_url" in words
    assert "secret1234" not in words


@pytest.mark.parametrize("command", [["up", "--port", "0"], ["upgrade"]], ids=named)
def test_an_owner_who_does_not_get_to_the_store(
    tmp_path: Path, capsys: Captured, command: list[str], database: str
) -> None:
    (tmp_path / "url").write_text(database)
    (tmp_path / "owner_url").write_text("postgresql://u:secret1234@127.0.0.1:1/x")
    config = tmp_path / "cleanstart.toml"
    config.write_text('[store]\nurl = "file:url"\nowner_url = "file:owner_url"\n')
    code, words = said(capsys, *command, "--config", str(config))
    assert code == 3
    assert "The store cannot be reached: " in words
    assert "secret1234" not in words
