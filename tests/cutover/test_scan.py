"""What migrates in a source is found, with its line and when it runs; what only looks like it is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cutover.cases import FALSE_ALARMS, FOUND, Case
from web.cutover import source_tree
from web.cutover.findings import Finding, Scan
from web.cutover.scan import MOST_FINDINGS, scan_source


def told(found: Finding) -> str:
    return f"{found.when}{'' if found.certain else '?'} {found.place} {found.what}"


def write(folder: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("case", [*FOUND, *FALSE_ALARMS], ids=lambda case: case.name)
def test_cases(case: Case, tmp_path: Path) -> None:
    scan = scan_source(write(tmp_path, case.files))
    assert {told(each) for each in scan.findings} == set(case.expected)
    assert not scan.skipped


def test_a_third_of_them_are_false_alarms() -> None:
    assert len(FOUND) + len(FALSE_ALARMS) >= 25
    assert len(FALSE_ALARMS) * 3 >= len(FOUND)


def test_each_has_its_line_and_what_to_do_instead(tmp_path: Path) -> None:
    write(tmp_path, {"Procfile": "release: alembic upgrade head\nweb: alembic upgrade head; serve\n"})
    write(tmp_path, {"Makefile": "db:\n\talembic upgrade head\n", "app.py": "metadata.create_all(e)\n"})
    scan = scan_source(tmp_path)
    said = {each.place: (each.text, each.instead) for each in scan.findings}
    assert said["Procfile:2"][0] == "web: alembic upgrade head; serve"
    assert "starts without migrating" in said["Procfile:2"][1]
    assert "cleanstart migrate" in said["Procfile:1"][1]
    assert "press Migrate" in said["Makefile:2"][1]
    assert "tables come from migrations alone" in said["app.py:1"][1]
    assert [each.when for each in scan.findings] == ["start-up", "start-up", "deployment", "by hand"]


def test_a_project_has_a_command_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, {"entrypoint.sh": "#!/bin/sh\nuv run clinic db upgrade --yes\nclinic db status\n"})
    assert not scan_source(tmp_path).findings
    (found,) = scan_source(tmp_path, [("clinic", "db", "upgrade")]).findings
    assert (found.line, found.what) == (2, "clinic db upgrade")


def test_it_is_kept_and_read_back(tmp_path: Path) -> None:
    write(tmp_path, {"Procfile": f"web: alembic upgrade head # \x01{'x' * 500}\n", "broken.yml": "kind: [\n"})
    scan = scan_source(tmp_path)
    assert len(scan.findings) == 1
    assert [each.path for each in scan.skipped] == ["broken.yml"]
    assert Scan.from_json(json.loads(json.dumps(scan.to_json()))) == scan
    assert len(scan.findings[0].text) < 200


#: What a source may hold that means no good, by the name of its file.
HOSTILE: dict[str, bytes] = {
    "deep.py": b"from alembic import command\nx = " + b"(" * 100_000,
    "minus.py": b"upgrade = " + b"-" * 200_000 + b"1",
    "chain.py": b"upgrade" + b".a" * 200_000,
    "calls.py": b"upgrade" + b"()" * 90_000,
    "sum.py": b"upgrade = " + b"1+" * 200_000 + b"1",
    "words.py": b"import os\nos.system(" + b"'alembic', " * 50_000 + b")\n#upgrade",
    "not.py": b"def upgrade(:\n",
    "nul.py": b"from alembic import command\0\ncommand.upgrade(C, 'head')",
    "latin.py": b"# \xe9\nfrom alembic import command\ncommand.upgrade(C, 'head')",
    "deep.yaml": b"kind: Deployment\nx: " + b"[" * 100_000,
    "laughs.yaml": b"kind: Deployment\na0: &a0 [x, x]\n"
    + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 60)),
    "self.yaml": b"kind: &k\n  <<: *k\n  command: *k\n",
    "tag.yaml": b"kind: Deployment\ncommand: !!python/object/apply:os.system ['touch /tmp/owned']\n",
    "deep.json": b'{"kind": ' + b"[" * 100_000,
    "start.sh": b"((((" * 50_000 + b"\n" + b"'" * 99_999 + b"\n" + b"${" * 60_000 + b"}" * 60_000,
    "run.sh": b"#!/bin/sh\n" + b"a " * 100_000 + b"\\\n" * 50_000,
    "Dockerfile": b"RUN <<A\n" * 20_000,
    "quotes.cs": b'// Migrat\nx = """' + b'"' * 100_001 + b"/*" * 100_000,
    "Procfile": b":" * 300_000,
    "blank.py": b"#upgrade\n" + b"\n" * 500_000,
    "names.py": b"from alembic import command\n" + b"def f():f()\n" * 40_000 + b"f()\n",
    "nested.py": b"upgrade = 1\n" + b"".join(b" " * n + b"if x:\n" for n in range(90)) + b" " * 90 + b"1\n",
    "dollars.cs": b"//Migrat\n" + b"$" * 500_000 + b"\n" + b"@" * 300_000,
    "word.cs": b"//Migrat\n" + b"a" * 900_000 + b" " * 90_000,
    "declared.cs": b"//Migrat\n" + b"void ApplyMigrations(" * 40_000,
    "Jenkinsfile": b"sh " + b'"' * 400_000 + b"x" + b"'" * 400_000 + b"x\n",
    "a.Dockerfile": b"RUN <<A\n" + b"\n" * 500_000 + b"x x",
    "many.yaml": b"kind: Deployment\n" + b"- " * 60_000 + b"\n" + b"? " * 30_000,
    "large.py": b"#" * (source_tree.LARGEST + 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_read_or_skipped(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(HOSTILE[name])
    write(tmp_path, {"zz/Procfile": "web: alembic upgrade head\n"})
    scan = scan_source(tmp_path)
    assert [each.place for each in scan.findings if each.path != name] == ["zz/Procfile:1"]
    assert not [each for each in scan.findings if each.path == name]
    assert json.dumps(scan.to_json())


def test_no_link_is_followed_and_nothing_is_waited_for(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", {"start.sh": "alembic upgrade head\n"})
    source = write(tmp_path / "source", {"app/readme.txt": "nothing\n"})
    (source / "linked").symlink_to(outside)
    (source / "start.sh").symlink_to(outside / "start.sh")
    (source / "loop").symlink_to(source)
    os.mkfifo(source / "entrypoint.sh")
    (source / os.fsdecode(b"\xff.sh")).write_text("alembic upgrade head\n")
    scan = scan_source(source)
    assert [each.path for each in scan.findings] == ["\N{REPLACEMENT CHARACTER}.sh"]
    assert json.dumps(scan.to_json(), ensure_ascii=False).encode()
    assert not scan.skipped


def test_what_is_not_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path.joinpath(*["d"] * (source_tree.DEEPEST + 2))
    deep.mkdir(parents=True)
    (tmp_path / "large.py").write_bytes(b"#" * (source_tree.LARGEST + 1))
    (tmp_path / "latin.py").write_bytes(b"\xe9")
    reasons = {each.path: each.reason for each in scan_source(tmp_path).skipped}
    assert reasons["large.py"] == "larger than 1 MiB"
    assert reasons["latin.py"] == "not UTF-8 text"
    assert "deeper than 40 folders" in reasons.values()
    monkeypatch.setattr(source_tree, "MOST_FILES", 3)
    monkeypatch.setattr(source_tree, "MOST_NAMED", 5)
    many = write(tmp_path / "many", {f"{number:02}.py": "" for number in range(20)})
    scan = scan_source(many)
    assert (scan.files, len(scan.skipped), scan.further) == (3, 5, 12)
    assert scan.skipped[0].reason == "more than 3 files"


def test_more_than_anybody_reads_is_counted(tmp_path: Path) -> None:
    write(tmp_path, {"start.sh": "alembic upgrade head\n" * (MOST_FINDINGS + 7)})
    scan = scan_source(tmp_path)
    assert (len(scan.findings), scan.further) == (MOST_FINDINGS, 7)
