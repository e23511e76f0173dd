"""What hostile project code tries, run behind a wall: prints what it got as JSON. Standard library only.

Its arguments are JSON: the places that `behind.py` made for it.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from typing import Callable


def tried(attempt: Callable[[], object]) -> object:
    try:
        return attempt() or "done"
    except BaseException as error:
        return f"refused: {type(error).__name__} {getattr(error, 'errno', None)}"


def unix(path: str, kind: int = socket.SOCK_STREAM) -> str:
    with socket.socket(socket.AF_UNIX, kind) as one:
        one.settimeout(3)
        one.connect(path)
        return one.recv(100).decode()


def tcp(family: int, address: "tuple[str, int]") -> None:
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(3)
        one.connect(address)


def udp(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"x", ("127.0.0.1", port))


def memory(pid: int) -> str:
    with open(f"/proc/{pid}/maps") as maps:
        start = int(next(line for line in maps if "[heap]" in line).split("-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb") as file:
        file.seek(start)
        return "read" if file.read(10) else ""


def io_uring() -> None:
    parameters = ctypes.create_string_buffer(120)
    if ctypes.CDLL(None, use_errno=True).syscall(425, 2, parameters) < 0:
        raise OSError(ctypes.get_errno(), "io_uring_setup")


def daemon(marker: str) -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (0, 1, 2):
                os.close(number)
            os.execv("/bin/sleep", ["sleep", marker])
        os._exit(0)
    os.wait()


def child(path: str) -> str:
    code = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({path!r}); print(s.recv(9).decode())"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def allocate() -> str:
    return "got it" if len(bytearray(600 << 20)) else ""


def through_link(link: str, path: str) -> str:
    os.symlink(path, link)
    return unix(link)


def main() -> None:
    at = json.loads(sys.argv[1])
    if at.get("only") == "daemon":
        daemon(at["marker"])
        print("started", flush=True)
        signal.pause()
    daemon(at["marker"])
    found = {
        "own socket": tried(lambda: unix(at["own"])),
        "own socket, from a child": tried(lambda: child(at["own"])),
        "other socket": tried(lambda: unix(at["other"])),
        "other socket through a link": tried(lambda: through_link(at["link"], at["other"])),
        "abstract socket": tried(lambda: unix("\0" + at["abstract"])),
        "datagram socket": tried(lambda: unix(at["datagram"], socket.SOCK_DGRAM)),
        "tcp": tried(lambda: tcp(socket.AF_INET, ("127.0.0.1", at["port"]))),
        "tcp over IPv6": tried(lambda: tcp(socket.AF_INET6, ("::1", at["port"]))),
        "secret file": tried(lambda: open(at["secret"]).read()),
        "secret file through /proc/1/root": tried(lambda: open("/proc/1/root" + at["secret"]).read()),
        "secret file inside the checkout": tried(lambda: open(at["inside"]).read()),
        "secret folder inside the checkout": tried(lambda: open(at["within"]).read()),
        "checkout": tried(lambda: open(at["readable"]).read()),
        "write into the checkout": tried(
            lambda: open(os.path.join(os.path.dirname(at["readable"]), "new"), "w")
        ),
        "write into its folder": tried(lambda: open(at["writable"], "w").close()),
        "worker's environment": tried(lambda: open(f"/proc/{at['worker']}/environ").read() and "read"),
        "worker's memory": tried(lambda: memory(at["worker"])),
        "worker's open files": tried(lambda: ", ".join(os.listdir(f"/proc/{at['worker']}/fd")) and "read"),
        "signal": tried(lambda: os.kill(at["victim"], signal.SIGKILL)),
        "memory": tried(allocate),
        "io_uring": tried(io_uring),
        "environment": dict(os.environ),
        "environment of the first process": tried(lambda: open("/proc/1/environ").read()),
        "home": os.listdir(os.environ["HOME"]),
        "home is writable": tried(lambda: open(os.path.join(os.environ["HOME"], "x"), "w").close()),
        "uid": os.getuid(),
        "capabilities": next(
            line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")
        ),
        "no new privileges": next(
            line.split()[1] for line in open("/proc/self/status") if "NoNewPrivs" in line
        ),
    }
    # Told through the own pipe only now: a datagram would have been sent by then.
    found["udp"] = tried(lambda: udp(at["udp"]))
    print(json.dumps(found))


main()
