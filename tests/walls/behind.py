"""Runs `attack.py` behind one wall, with everything near it that it must not get at. Prints what it got as JSON.

A program of its own, so that a test can also run it as an ordinary user. Arguments: the wall (`namespaces` or
`filters`), a folder of its own, an interpreter that project code could have; `kill`: end like a killed worker while
it runs; `network`: as on a target.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import uuid
from pathlib import Path

from web.postgres.processes import run, start
from web.walls.accounts import project_account
from web.walls.layers import Wall, find_filters, find_layers, hide_process
from web.walls.reach import Limits, Reach, interpreter_places

ATTACK = Path(__file__).with_name("attack.py")


def serve(listener: socket.socket, text: bytes) -> None:
    """Greet everybody who comes."""

    def greet() -> None:
        while True:
            try:
                taken, _ = listener.accept()
                with taken:
                    taken.sendall(text)
            except OSError:
                return

    listener.listen()
    threading.Thread(target=greet, daemon=True).start()


def unix(path: str, kind: int = socket.SOCK_STREAM) -> socket.socket:
    one = socket.socket(socket.AF_UNIX, kind)
    one.bind(path)
    if not path.startswith("\0"):
        os.chmod(path, 0o777)
    return one


async def main(layer: str, folder: Path, python: Path, *how: str) -> None:
    hide_process()
    account = project_account(folder)
    layers = find_layers() if layer == "namespaces" else find_filters()
    if layers.kind != layer:
        raise SystemExit(f"no {layer}: {layers.reason}")
    checkout, secrets, own, data = (folder / name for name in ("checkout", "secrets", "own", "data"))
    for place in (checkout, checkout / "state", secrets, own, data):
        place.mkdir()
    (checkout / "code.py").write_text("code")
    for file in (secrets / "url", checkout / "url", checkout / "state" / "key"):
        file.write_text("postgresql://app:canary-password@host/db")
    if account is not None:
        os.chown(data, account.uid, account.gid)
    abstract = uuid.uuid4().hex
    serve(unix(str(own / "socket")), b"own")
    serve(unix(str(secrets / "socket")), b"other")
    serve(unix("\0" + abstract), b"abstract")
    datagram = unix(str(secrets / "datagram"), socket.SOCK_DGRAM)
    tcp = socket.create_server(("127.0.0.1", 0))
    serve(tcp, b"tcp")
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    udp.setblocking(False)
    victim = subprocess.Popen(
        ["/bin/sleep", "600"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
    )
    places = {
        "own": str(own / "socket"),
        "other": str(secrets / "socket"),
        "link": str(data / "link"),
        "abstract": abstract,
        "datagram": str(secrets / "datagram"),
        "port": tcp.getsockname()[1],
        "udp": udp.getsockname()[1],
        "secret": str(secrets / "url"),
        "inside": str(checkout / "url"),
        "within": str(checkout / "state" / "key"),
        "readable": str(checkout / "code.py"),
        "writable": str(data / "new"),
        "worker": os.getpid(),
        "victim": victim.pid,
        "marker": f"60{os.getpid()}",
    }
    reach = Reach(
        reads=(checkout, ATTACK, *interpreter_places(python)),
        writes=(data,),
        sockets=(own / "socket",),
        hidden=(checkout / "url", checkout / "state"),
        account=account,
        network="network" in how,
        limits=Limits(memory=512 << 20, processes=1024),
    )
    argv = [str(python), str(ATTACK)]
    try:
        if "kill" in how:
            await _die(Wall(layers, reach), [*argv, json.dumps({**places, "only": "daemon"})])
        done = await run(
            [*argv, json.dumps(places)], wall=Wall(layers, reach), env={"GIVEN": "x"}, check=False
        )
        found = json.loads(done.stdout or "{}")
        found["stderr"] = done.stderr_tail
        found["victim"] = "lives" if victim.poll() is None else "dead"
        found["datagrams"] = _datagrams(udp)
        found["marker"] = places["marker"]
        found["own uid"] = os.getuid()
        print(json.dumps(found))
    finally:
        victim.kill()
        victim.wait()
        datagram.close()


async def _die(wall: Wall, argv: list[str]) -> None:
    """End like a killed worker once the program behind the wall has started its daemon."""
    program = await start(argv, stdout=asyncio.subprocess.PIPE, wall=wall)
    assert program.stdout is not None
    await program.stdout.readline()
    print(
        json.dumps({"marker": json.loads(argv[-1])["marker"], "victim": json.loads(argv[-1])["victim"]}),
        flush=True,
    )
    os.kill(os.getpid(), 9)


def _datagrams(udp: socket.socket) -> int:
    try:
        udp.recv(10)
    except BlockingIOError:
        return 0
    return 1


asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:]))
