"""A baseline in the project's source: all of it or nothing, as a commit on a branch, and the way back."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.operations.conftest import Site, outcome
from tests.operations.test_baseline import files, git, kept
from tests.operations.test_endings import page, surfaces
from tests.tools.written import execute, migration
from web.config.values import CleanStart
from web.errors import NotFound, OperationNotAllowed
from web.jobs.reading import JobRecord
from web.operations.baseline import BASELINE
from web.operations.migrate import MIGRATE
from web.operations.take_back_baseline import TAKE_BACK_BASELINE
from web.operations.write_baseline import WRITE_BASELINE, WriteBaselineParameters
from web.remedies import source_files
from web.remedies.change_set import ChangedFile
from web.starting.operation import AnyOperation
from web.tools.registry import tool_of


def writable(site: Site, *, write: bool = True) -> None:
    clinic = replace(site.configuration.project("clinic"), clean_start=CleanStart(write=write))
    site.configuration = replace(site.configuration, projects={"clinic": clinic})


def committed(folder: Path, *more: str) -> None:
    """Make the folder a repository with one commit."""
    git(folder, "init", "-q", "-b", "main")
    for name in ("user.name", "user.email"):
        git(folder, "config", name, "ada")
    (folder / ".gitignore").write_text("__pycache__/\n")
    git(folder, "add", "-A")
    done = git(folder, "commit", "-q", "-m", "all of it", *more)
    assert done.returncode == 0, done.stderr


def said(folder: Path, *arguments: str) -> str:
    done = git(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


async def revisions(site: Site) -> list[str]:
    clinic = site.configuration.project("clinic")
    return [each.revision for each in (await tool_of(clinic).history(clinic)).migrations]


async def baseline(site: Site) -> JobRecord:
    job = await site.run(BASELINE)
    assert job.state == "succeeded", outcome(job)
    return job


async def test_a_folder_becomes_what_the_change_set_says_and_goes_back(site: Site) -> None:
    writable(site)
    before = files(site.folder)
    made = await baseline(site)
    revision = (await kept(site, made)).baseline.revision
    done = await site.run(WRITE_BASELINE, baseline=made.id)
    assert done.state == "succeeded", outcome(done)
    assert await revisions(site) == [revision]
    stored = await kept(site, made)
    assert stored.written is not None
    assert (stored.written.job_id, stored.written.commit) == (done.id, None)
    twice = await site.run(WRITE_BASELINE, baseline=made.id)
    assert "is written already" in outcome(twice)["account"]
    back = await site.run(TAKE_BACK_BASELINE, baseline=made.id)
    assert back.state == "succeeded", outcome(back)
    assert files(site.folder) == before
    assert not (site.folder / Path(stored.manifest["migrations"][0]["kept"]).parent).exists()
    assert (await kept(site, made)).written is None
    assert await revisions(site) == ["a", "b", "c"]


async def test_a_commit_on_a_branch(site: Site) -> None:
    """Nothing of the repository's own is run, and what is not part of the change set is left as it is."""
    writable(site)
    folder = site.folder
    committed(folder)
    ran = folder.parent / "ran"
    for name in ("pre-commit", "post-checkout", "reference-transaction", "post-index-change"):
        hook = folder / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\necho {name} >> {ran}\n")
        hook.chmod(0o755)
    git(folder, "config", "core.fsmonitor", f"echo monitor >> {ran}; false")
    git(folder, "config", "filter.odd.clean", f"echo clean >> {ran}; cat")
    (folder / ".git" / "info" / "attributes").write_text("*.py filter=odd\n")
    made = await baseline(site)
    (folder / "notes.txt").write_text("not part of it")
    ran.unlink(missing_ok=True)
    tip = said(folder, "rev-parse", "main")
    ran.unlink(missing_ok=True)
    done = await site.run(WRITE_BASELINE, baseline=made.id)
    assert done.state == "succeeded", outcome(done)
    assert not ran.exists(), ran.read_text()
    git(folder, "config", "--unset", "core.fsmonitor")
    stored = await kept(site, made)
    assert stored.written is not None
    commit = stored.written.commit
    assert commit is not None
    revision = stored.baseline.revision
    assert (commit.branch, commit.previous) == (f"clean-start/{revision}", "refs/heads/main")
    assert said(folder, "rev-parse", "HEAD", "HEAD^", "main").split() == [commit.commit, tip, tip]
    assert said(folder, "symbolic-ref", "HEAD") == f"refs/heads/clean-start/{revision}"
    assert said(folder, "status", "--porcelain") == "?? notes.txt"
    assert (
        said(folder, "log", "-1", "--format=%an %s") == f"ada Replace 3 migrations by the baseline {revision}"
    )
    assert await revisions(site) == [revision]
    # A clone has the same.
    clone = folder.parent / "clone"
    git(folder.parent, "clone", "-q", str(folder), str(clone))
    assert said(clone, "status", "--porcelain") == ""
    there = files(folder)
    there.pop("notes.txt")
    assert files(clone) == there
    back = await site.run(TAKE_BACK_BASELINE, baseline=made.id)
    assert back.state == "succeeded", outcome(back)
    assert said(folder, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert said(folder, "status", "--porcelain") == "?? notes.txt"
    assert await revisions(site) == ["a", "b", "c"]
    # The branch stays, so that the next one has another name.
    again = await site.run(WRITE_BASELINE, baseline=made.id)
    assert outcome(again)["data"]["branch"] == f"clean-start/{revision}-2"


async def test_what_is_in_the_way_is_named_and_left(site: Site) -> None:
    writable(site)
    folder = site.folder
    committed(folder)
    made = await baseline(site)
    stored = await kept(site, made)
    path = stored.manifest["migrations"][-1]["path"]
    old = (folder / path).read_bytes()

    async def refused(kind: AnyOperation = WRITE_BASELINE, **values: object) -> str:
        there = (files(folder), said(folder, "for-each-ref"), said(folder, "ls-files", "--stage"))
        job = await site.run(kind, baseline=made.id, **values)
        assert job.state == "failed", outcome(job)
        assert there == (files(folder), said(folder, "for-each-ref"), said(folder, "ls-files", "--stage"))
        return str(outcome(job)["account"])

    assert "“a..b” cannot be the name of a branch" in await refused(branch="a..b")
    assert "There is a branch main already" in await refused(branch="main")
    (folder / path).write_bytes(old + b"\n# edited\n")
    assert f"Changed since: {path}" in await refused()
    (folder / path).write_bytes(old)
    # What is staged and not committed.
    git(folder, "rm", "-q", "--cached", path)
    assert f"Not everything is committed: {path}" in await refused()
    git(folder, "reset", "-q")
    (folder / ".git" / "index.lock").write_text("")
    assert "index.lock" in await refused()
    (folder / ".git" / "index.lock").unlink()
    (folder / stored.baseline.path).write_text("somebody's")
    assert f"Changed since: {stored.baseline.path}" in await refused()
    (folder / stored.baseline.path).unlink()
    assert "is not written into the source" in await refused(TAKE_BACK_BASELINE)
    done = await site.run(WRITE_BASELINE, baseline=made.id, branch="fresh")
    assert done.state == "succeeded", outcome(done)
    (folder / "more").write_text("more")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "more")
    assert "is not at the commit that was written" in await refused(TAKE_BACK_BASELINE)


async def test_files_that_cannot_be_written(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was begun is taken back."""
    writable(site)
    before = files(site.folder)
    made = await baseline(site)
    wrote = source_files._put
    left = [4]

    def full(root: Path, file: ChangedFile) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(28, "No space left on device", str(root / file.path))
        wrote(root, file)

    monkeypatch.setattr(source_files, "_put", full)
    job = await site.run(WRITE_BASELINE, baseline=made.id)
    assert "No space left on device. Nothing was changed." in outcome(job)["account"]
    assert files(site.folder) == before


async def test_nothing_is_written_through_a_link(site: Site, tmp_path: Path) -> None:
    writable(site)
    made = await baseline(site)
    stored = await kept(site, made)
    folder = site.folder / stored.manifest["migrations"][0]["path"]
    elsewhere = tmp_path / "elsewhere"
    shutil.move(folder.parent, elsewhere)
    folder.parent.symlink_to(elsewhere)
    there = files(elsewhere)
    job = await site.run(WRITE_BASELINE, baseline=made.id)
    assert "is behind a link" in outcome(job)["account"]
    assert files(elsewhere) == there


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user's worker")
async def test_a_repository_stays_its_owners(site: Site) -> None:
    writable(site)
    committed(site.folder)
    made = await baseline(site)
    for each in (site.folder, *site.folder.rglob("*")):
        os.chown(each, 12345, 12345)
    done = await site.run(WRITE_BASELINE, baseline=made.id)
    assert done.state == "succeeded", outcome(done)
    owners = {each.stat().st_uid for each in site.folder.rglob("*") if "__pycache__" not in each.parts}
    assert owners == {12345}


async def test_what_may_not_be_written(site: Site) -> None:
    made = await baseline(site)
    clinic = site.configuration.project("clinic")
    assert WRITE_BASELINE.require_named is not None
    async with site.store.connect() as store:
        with pytest.raises(OperationNotAllowed, match="not declared writable"):
            await WRITE_BASELINE.require_named(store, clinic, None, WriteBaselineParameters(baseline=made.id))
        with pytest.raises(NotFound):
            await WRITE_BASELINE.require_named(store, clinic, None, WriteBaselineParameters(baseline=10**9))
    writable(site)
    site.write(c=migration("c", "b", execute("CREATE TABLE tenants (id int)", "SELECT 1 / 0")))
    job = await site.run(BASELINE)
    assert job.state == "failed"
    async with site.store.connect() as store:
        with pytest.raises(NotFound):
            await WRITE_BASELINE.require_named(store, clinic, None, WriteBaselineParameters(baseline=job.id))


async def test_who_would_be_left_behind_is_said_before(site: Site) -> None:
    """From the new source nothing can be applied to a database that has not all of the old history."""
    writable(site)
    made = await baseline(site)
    address = f"/projects/clinic/jobs/new/write-baseline?baseline={made.id}"
    async with surfaces(site) as client:
        await site.observe()
        assert "lacks" not in await page(client, address)
        await site.run(MIGRATE)
        site.query("UPDATE alembic_version SET version_num = 'b'")
        await site.observe()
        shown = await page(client, address)
        assert "clinic/dev lacks 1 migration" in shown
        # What the page with the button gives is not asked for.
        assert f'<input type="hidden" name="baseline" value="{made.id}">' in shown
        assert "Branch" in shown
        told = (await client.get("/api/v1/projects/clinic/jobs/new/write-baseline")).json()
        assert told["warnings"][0].startswith("clinic/dev lacks 1 migration.")
