"""An interpreter that every user of the machine reaches: ours may lie in somebody's home."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def make_interpreter(folder: Path, packages: Sequence[str]) -> Path:
    """A virtual environment in the folder, of an interpreter of our own version, with copies of some of our packages.

    The folder has to be one that every user reaches.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    names = (f"/usr/bin/python{version}", f"/usr/local/bin/python{version}", sys.executable)
    base = next(path for name in names if (path := Path(name).resolve()).is_file())
    subprocess.run([base, "-m", "venv", "--without-pip", folder], check=True)
    (into,) = folder.glob("lib/python3*/site-packages")
    ours = [Path(each) for each in sys.path if each.endswith("-packages")]
    for name in packages:
        found = next((path for place in ours if (path := place / name).exists()), None)
        if found is None:
            raise FileNotFoundError(f"{name} is in none of {ours}")
        if found.is_dir():
            shutil.copytree(found, into / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(found, into / name)
        for record in found.parent.glob(f"{name}-*.dist-info"):
            # Some ask their own record for their version.
            shutil.copytree(record, into / record.name)
    return folder / "bin" / "python"
