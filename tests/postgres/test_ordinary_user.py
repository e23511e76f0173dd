"""The embedded server as an ordinary user: also when the suite itself runs as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = textwrap.dedent(
    """
    import asyncio, os, sys
    from pathlib import Path
    from web.postgres.connections import connect
    from web.postgres.embedded import EmbeddedServer
    from web.postgres.identity import read_identity

    async def main():
        for _ in range(2):
            server = EmbeddedServer(Path(sys.argv[1]))
            await server.start()
            async with connect(server.url()) as connection:
                found = await read_identity(connection)
            print(os.getuid(), Path(f"/proc/{server.pid}").stat().st_uid, found.identity.as_text)
            await server.stop()
        print(server.data_directory)
        await server.remove()

    asyncio.run(main())
    """
)
NOBODY = 65534
#: The other user is lent one right: to read the interpreter and the checkout wherever they are.
AS_NOBODY = (
    "setpriv",
    *(f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"),
)


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of the ordinary user's own."""
    with tempfile.TemporaryDirectory(prefix="cleanstart-user-") as folder:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield Path(folder)


def test_start_and_restart(home: Path) -> None:
    as_root = os.geteuid() == 0
    if as_root and shutil.which("setpriv") is None:
        pytest.fail("As root this test needs `setpriv` (util-linux).")
    done = subprocess.run(
        [*(AS_NOBODY if as_root else ()), sys.executable, "-c", PROGRAM, str(home / "server")],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    *starts, data = [line.split(" ") for line in done.stdout.splitlines()]
    uid = str(NOBODY if as_root else os.getuid())
    assert len(starts) == 2
    assert starts[0] == starts[1]
    assert starts[0][:2] == [uid, uid]
    assert data == [str(home / "server" / "data")]
    assert not (home / "server").exists()
