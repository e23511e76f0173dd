"""Requests that are not finished are closed, answers that nobody reads too, streams are not: a server, raw sockets."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.started import until
from web.cli.connections import LARGEST_HEAD, OWN_FILES, Connection, raise_file_limit

ROOT = Path(__file__).parents[2]
#: What the server under test is given; seconds.
LIMIT = 2.0
#: What "at once" may be on a busy machine, beside the limit.
SLACK = 25.0
GET = b"GET /hello HTTP/1.1\r\nHost: here\r\n"


@dataclass
class Server:
    """A running `small_server`."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def said(self) -> list[str]:
        return self.output.read_text().splitlines()

    def connect(self, sent: bytes = b"", *, buffer: int | None = None) -> socket.socket:
        """A connection on which so much was sent."""
        sock = socket.socket()
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.settimeout(LIMIT + SLACK)
        sock.connect(("127.0.0.1", int(self.said[0])))
        if sent:
            sock.sendall(sent)
        return sock


Serve = Callable[..., Server]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    running: list[subprocess.Popen[bytes]] = []

    def start(limit: float = LIMIT, most: int = 0) -> Server:
        output = tmp_path_factory.mktemp("server") / "said"
        with output.open("wb") as stream:
            command = [sys.executable, "-m", "tests.cli.small_server", str(limit), str(most)]
            process = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=ROOT)
        running.append(process)
        server = Server(process, output)
        until(lambda: output.read_text().endswith("\n"), "it does not start", output.read_text)
        with server.connect(GET + b"Connection: close\r\n\r\n") as sock:
            read_all(sock)
        return server

    yield start
    for each in running:
        each.terminate()
        each.wait(60)


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    """One with a short limit."""
    return serve()


def read_all(sock: socket.socket) -> bytes:
    """Everything until the server closes; a reset is a close."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := sock.recv(65536):
            received += part
    return received


def read_until(sock: socket.socket, wanted: bytes) -> bytes:
    received = b""
    while wanted not in received:
        part = sock.recv(65536)
        assert part, received
        received += part
    return received


UNFINISHED = {
    "nothing at all": (b"", b""),
    "empty lines": (b"\r\n\r\n", b""),
    "a method": (b"GE", b"408"),
    "no end of the headers": (GET, b"408"),
    "a header that goes on": (GET + b"X: " + b"a" * 1000, b"408"),
    "no body": (b"POST /hello HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\n", b"408"),
    "half a body": (b"POST /hello HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nabc", b"408"),
    "half a chunk": (
        b"POST /hello HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"408",
    ),
    "no last chunk": (
        b"POST /hello HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        b"408",
    ),
    "a body that was answered before": (
        b"POST /early HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nabc",
        b"200",
    ),
    "half a second request": (GET + b"\r\n" + GET, b"200"),
    "a stream of half a request": (
        b"POST /stream HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nabc",
        b"200",
    ),
    "an upgrade": (GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"408"),
}


@pytest.mark.parametrize(("sent", "status"), UNFINISHED.values(), ids=list(UNFINISHED))
def test_what_is_not_finished_is_closed(server: Server, sent: bytes, status: bytes) -> None:
    begun = time.monotonic()
    with server.connect(sent) as sock:
        received = read_all(sock)
    assert LIMIT - 0.5 < time.monotonic() - begun < LIMIT + SLACK
    assert received[9:12] == status, received[:200]
    assert "Traceback" not in server.output.read_text()


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET /hello HTTP/1.1\r\n",
        b"POST /hello HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n",
        b"\r\n",
    ],
    ids=["headers", "body", "empty lines"],
)
def test_a_drop_now_and_then_does_not_keep_it_open(server: Server, beginning: bytes) -> None:
    begun = time.monotonic()
    drop = b"\r\n" if beginning == b"\r\n" else b"X" if beginning.startswith(b"POST") else b"X: y\r\n"
    with server.connect(beginning) as sock:
        sock.settimeout(0.2)
        closed = False
        while not closed and time.monotonic() - begun < LIMIT + SLACK:
            try:
                sock.sendall(drop)
                closed = sock.recv(65536) == b""
            except TimeoutError:
                continue
            except OSError:
                closed = True
        assert closed
    assert time.monotonic() - begun > LIMIT - 0.5


def test_a_request_that_comes_slowly_and_in_time(server: Server) -> None:
    with server.connect(b"POST /hello HTTP/1.1\r\nHost: here\r\n") as sock:
        time.sleep(LIMIT / 8)
        sock.sendall(b"Content-Length: 6\r\n\r\nabc")
        time.sleep(LIMIT / 8)
        sock.sendall(b"def")
        assert b"6 bytes" in read_until(sock, b"headers")
        # And another one on the same connection.
        sock.sendall(GET + b"\r\n")
        assert b"0 bytes" in read_until(sock, b"headers")


def test_hundreds_of_half_requests_and_a_stream_that_outlives_them(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(server.connect(b"GET /stream HTTP/1.1\r\nHost: here\r\n\r\n"))
        read_until(stream, b"still here")
        begun = time.monotonic()
        half = [stack.enter_context(server.connect(GET)) for _ in range(400)]
        assert b"0 bytes" in _ask(server)
        for each in half:
            assert b"408" in read_all(each)
        # Four times the limit, and it still speaks.
        while time.monotonic() - begun < 4 * LIMIT:
            read_until(stream, b"still here")
        read_until(stream, b"still here")


def test_the_usual_limit(serve: Serve) -> None:
    server = serve(limit=0)
    assert Connection.limit == 30.0
    begun = time.monotonic()
    with server.connect(GET) as half, server.connect(b"GET /stream HTTP/1.1\r\nHost: here\r\n\r\n") as stream:
        half.settimeout(30 + SLACK)
        assert b"408" in read_all(half)
        assert 29 < time.monotonic() - begun < 30 + SLACK
        read_until(stream, b"still here")


def test_an_answer_that_nobody_reads_is_not_kept(server: Server) -> None:
    with server.connect(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n", buffer=4096) as sock:
        until(lambda: "answered /large" in server.said, "it is not written", within=LIMIT + SLACK)
        time.sleep(LIMIT * 2)
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while part := sock.recv(65536):
                received += len(part)
        assert received < 20_000_000


def test_an_answer_that_is_read_slowly_comes_whole(server: Server) -> None:
    begun, received = time.monotonic(), 0
    with server.connect(
        b"GET /large HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n", buffer=65536
    ) as sock:
        while part := sock.recv(65536):
            received += len(part)
            if time.monotonic() - begun < LIMIT * 2:
                time.sleep(0.01)
    assert received > 20_000_000


def test_a_head_without_an_end_is_refused(server: Server) -> None:
    begun = time.monotonic()
    with server.connect(GET) as sock:
        answer = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            sock.sendall(b"X: " + b"a" * (LARGEST_HEAD + 1))
            answer = read_all(sock)
        assert b" 431 " in answer
    assert time.monotonic() - begun < SLACK


def test_what_follows_a_body_is_no_header(server: Server) -> None:
    chunked = b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nab\r\n0\r\n"
    with server.connect(b"POST /hello HTTP/1.1\r\nHost: here\r\n" + chunked) as sock:
        sock.sendall(b"X-Forwarded-For: 203.0.113.1\r\n\r\n")
        assert b"2 bytes 3 headers" in read_all(sock)


def test_another_protocol_is_not_taken_up(server: Server) -> None:
    wish = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\nHTTP2-Settings: AAA\r\n\r\n"
    for protocol in (b"h2c", b"websocket"):
        with server.connect(GET + wish % protocol) as sock:
            assert b"HTTP/1.1 200" in read_until(sock, b"headers")
            # Nor does it stay for ever.
            read_all(sock)


def test_too_many_connections_lose_the_one_that_has_waited_longest(serve: Serve) -> None:
    server = serve(limit=60, most=20)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(server.connect(b"GET /stream HTTP/1.1\r\nHost: here\r\n\r\n"))
        read_until(stream, b"still here")
        # All of them at once, as it sees them when it was busy.
        server.process.send_signal(signal.SIGSTOP)
        silent = [stack.enter_context(server.connect()) for _ in range(50)]
        server.process.send_signal(signal.SIGCONT)
        for _ in range(5):
            assert b"0 bytes" in _ask(server)
        for each in silent[:30]:
            assert read_all(each) == b""
        silent[-1].setblocking(False)
        with pytest.raises(BlockingIOError):
            silent[-1].recv(1)
        read_until(stream, b"still here")


def test_the_server_may_have_as_many_files_as_it_is_allowed() -> None:
    script = (
        "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (256, 4000));"
        "from web.cli.connections import raise_file_limit as f; print(f(), *r.getrlimit(r.RLIMIT_NOFILE))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(4000 - OWN_FILES), "4000", "4000"]
    assert raise_file_limit() > OWN_FILES


def _ask(server: Server) -> bytes:
    with server.connect(GET + b"Connection: close\r\n\r\n") as sock:
        return read_all(sock)
