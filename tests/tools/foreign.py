"""Makes the environments of foreign.toml, once: real projects from PyPI with interpreters of their own.

Also a command: `python tests/tools/foreign.py [NAME …]`. What cannot be made is an error, never a skip.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

LIST = Path(__file__).with_name("foreign.toml")
CACHE = Path(__file__).parents[2] / ".cache" / "foreign"


@dataclass(frozen=True, slots=True)
class Foreign:
    """An environment with its interpreter."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        """Its site-packages."""
        return next(self.folder.glob("lib/python3*/site-packages"))


def foreign(name: str) -> Foreign:
    """The environment of this name, made where it is missing or other packages are wanted now."""
    wanted = tomllib.loads(LIST.read_text(encoding="utf-8"))[name]["packages"]
    stamp = json.dumps([sys.version, "compiled", wanted])
    place = Foreign(CACHE / name)
    CACHE.mkdir(parents=True, exist_ok=True)
    # Test processes run side by side; one makes it, the others wait.
    with FileLock(CACHE / f"{name}.lock"):
        done = place.folder / "made"
        if done.is_file() and done.read_text() == hashlib.sha256(stamp.encode()).hexdigest():
            return place
        shutil.rmtree(place.folder, ignore_errors=True)
        _uv("venv", "--python", sys.executable, str(place.folder))
        if wanted:
            _uv("pip", "install", "--compile-bytecode", "--python", str(place.python), *wanted)
        done.write_text(hashlib.sha256(stamp.encode()).hexdigest())
    return place


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    done = subprocess.run([str(uv), "--quiet", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"uv {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")


if __name__ == "__main__":
    for wanted_name in sys.argv[1:] or tomllib.loads(LIST.read_text(encoding="utf-8")):
        sys.stdout.write(f"{foreign(wanted_name).python}\n")
