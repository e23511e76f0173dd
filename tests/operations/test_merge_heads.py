"""Several heads joined: written in the project's own form, proven in every order of the branches, kept, written."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.interpreter import project_python
from tests.operations.conftest import Site, outcome
from tests.operations.test_baseline import files, git
from tests.operations.test_endings import page, surfaces
from tests.operations.test_write_baseline import committed, said, writable
from tests.tools.numbered import Numbered
from tests.tools.written import INI, execute, migration, write_project
from web.errors import NotFound
from web.jobs.reading import JobRecord
from web.operations.merge_heads import MERGE_HEADS, default_message
from web.operations.migrate import MIGRATE
from web.operations.take_back_baseline import TAKE_BACK_BASELINE
from web.operations.write_baseline import WRITE_BASELINE, WriteBaselineParameters
from web.postgres.urls import sqlalchemy_url
from web.remedies.merging import orders_of
from web.remedies.stored_merges import StoredMerge, merge_of
from web.tools.registry import TOOLS, tool_of

ROOMS = migration("d", "b", execute("CREATE TABLE rooms (id int PRIMARY KEY)"))
#: Both branches say what the column's default is.
DEFAULTS = {
    "c": migration("c", "b", execute("ALTER TABLE users ALTER COLUMN email SET DEFAULT 'c'")),
    "d": migration("d", "b", execute("ALTER TABLE users ALTER COLUMN email SET DEFAULT 'd'")),
}


async def kept(site: Site, job: JobRecord) -> StoredMerge:
    async with site.store.connect() as connection:
        found = await merge_of(connection, job.id)
    assert found is not None
    return found


async def merged(site: Site, **parameters: object) -> StoredMerge:
    job = await site.run(MERGE_HEADS, **parameters)
    assert job.state == "succeeded", outcome(job)
    return await kept(site, job)


def alembic(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The project's own, without any of ours."""
    return subprocess.run(
        [project_python(), "-P", "-m", "alembic", *arguments],
        cwd=site.folder,
        env={**os.environ, "DATABASE_URL": sqlalchemy_url(site.url)},
        capture_output=True,
        text=True,
        check=False,
    )


async def refused(site: Site) -> str:
    job = await site.run(MERGE_HEADS)
    assert job.state == "failed", outcome(job)
    return f"{outcome(job)['title']}. {outcome(job)['account']} {outcome(job).get('next_step')}"


async def test_two_branches_that_commute(site: Site) -> None:
    await site.at_head()
    site.write(d=ROOMS)
    await site.observe()
    before = files(site.folder)
    job = await site.run(MERGE_HEADS)
    assert job.state == "succeeded", outcome(job)
    # Nothing is written into the source.
    assert files(site.folder) == before
    stored = await kept(site, job)
    merge = stored.merge
    assert (merge.proven, merge.no_downgrade, merge.remarks, merge.column_orders) == (True, None, (), ())
    assert set(merge.heads) == {"c", "d"}
    assert {each.heads for each in merge.orders} == {("c", "d"), ("d", "c")}
    assert all(each.seconds and not each.differences and not each.changed for each in merge.orders)
    assert f"down_revision = {merge.heads!r}" in merge.text
    assert f"Merge {', '.join(merge.heads)}" in merge.text
    # The database has one branch; the other and the merge are what it lacks.
    (dev,) = merge.environments
    assert (dev.environment, dev.revisions, dev.pending) == ("dev", ("c",), ("d", merge.revision))
    assert outcome(job)["data"]["pending"] == {"dev": ["d", merge.revision]}
    assert f"A migrate of dev would apply d, {merge.revision}." in outcome(job)["account"]
    async with surfaces(site) as client:
        shown = await page(client, f"/jobs/{job.id}/merge")
        assert "Proven in scratch databases" in shown
        assert "Down to the heads, and up again" in shown
        assert "What a migrate would apply then" in shown
        assert f"/jobs/{job.id}/merge" in await page(client, f"/jobs/{job.id}")
        told = (await client.get(f"/api/v1/jobs/{job.id}/merge")).json()
        assert (told["revision"], told["proven"], told["why_not"]) == (merge.revision, True, None)
        patch = await client.get(f"/jobs/{job.id}/change-set/patch")
        assert patch.headers["content-disposition"] == 'attachment; filename="merge.patch"'
        assert patch.content == stored.change_set.patch()
        assert (await client.get(f"/jobs/{job.id}/baseline")).status_code == 404


async def test_the_change_set_is_what_the_repository_becomes(site: Site) -> None:
    """Applied by git and upgraded by Alembic itself; a second time the patch is refused."""
    site.write(d=ROOMS)
    stored = await merged(site, message="rooms and tenants")
    folder, patch = site.folder, stored.change_set.patch()
    committed(folder)
    assert [(each.before, each.path) for each in stored.change_set.files] == [(None, stored.merge.path)]
    applied = git(folder, "apply", given=patch)
    assert applied.returncode == 0, applied.stderr
    assert said(folder, "status", "--porcelain") == f"?? {stored.merge.path}"
    again = git(folder, "apply", given=patch)
    assert again.returncode != 0
    assert b"already exists" in again.stderr
    done = alembic(site, "upgrade", "head")
    assert done.returncode == 0, done.stderr
    assert site.revisions == [stored.revision]
    assert site.query("SELECT count(*) FROM rooms") == [(0,)]


async def test_branches_that_do_not_commute(site: Site) -> None:
    site.write(**DEFAULTS)
    job = await site.run(MERGE_HEADS)
    assert job.state == "failed", outcome(job)
    assert outcome(job)["title"] == "The merge was not proven"
    assert "The branches do not commute" in outcome(job)["account"]
    assert "column public.users.email" in outcome(job)["account"]
    merge = (await kept(site, job)).merge
    assert not merge.proven
    first, other = merge.orders
    assert (first.differences, [(each.object, each.attribute) for each in other.differences]) == (
        (),
        [("public.users.email", "default")],
    )
    (found,) = other.differences
    assert {found.a, found.b} == {"'c'::text", "'d'::text"}
    async with surfaces(site) as client:
        shown = await page(client, f"/jobs/{job.id}/merge")
        assert "Not proven" in shown
        assert "What the order of the branches changes" in shown
        assert "default differs" in shown
        assert f"/jobs/{job.id}/merge" in await page(client, f"/jobs/{job.id}")
        told = (await client.get(f"/api/v1/jobs/{job.id}/change-set")).json()
        assert (told["of"], told["proven"]) == ("merge", False)
    # It is not written anywhere.
    writable(site)
    written = await site.run(WRITE_BASELINE, merge=job.id)
    assert "This merge was not proven." in outcome(written)["account"]


async def test_both_comment_on_the_same(site: Site) -> None:
    site.write(
        c=migration("c", "b", execute("COMMENT ON TABLE users IS 'c'")),
        d=migration("d", "b", execute("COMMENT ON TABLE users IS 'd'")),
    )
    assert "table public.users" in await refused(site)


async def test_a_branch_that_needs_the_other_first(site: Site) -> None:
    """Without saying so it can be run in one order alone; with `depends_on` the tool sees to the order."""
    needs = execute("ALTER TABLE tenants ADD COLUMN name text")
    site.write(d=migration("d", "b", needs))
    said_so = await refused(site)
    assert "The branches do not commute: d, then c could not be run." in said_so
    assert 'relation "tenants" does not exist' in said_so
    site.write(d=migration("d", "b", needs, depends_on="c"))
    # Then c is part of what d stands for, and d is the one head.
    assert "one head, d: there is nothing to merge" in await refused(site)
    site.write(e=migration("e", "b", execute("CREATE TABLE rooms (id int PRIMARY KEY)")))
    stored = await merged(site)
    assert set(stored.merge.heads) == {"d", "e"}
    assert stored.merge.remarks == (
        "It does not follow c, which another branch depends on: it is applied with that one.",
    )
    git(site.folder, "init", "-q")
    assert git(site.folder, "apply", given=stored.change_set.patch()).returncode == 0
    await site.observe()
    done = await site.run(MIGRATE)
    assert done.state == "succeeded", outcome(done)
    assert site.revisions == [stored.revision]


async def test_columns_of_one_table_come_in_another_order(site: Site) -> None:
    """No two branches could agree on that: it is said, and is no obstacle."""
    site.write(
        c=migration("c", "b", execute("ALTER TABLE users ADD COLUMN one int")),
        d=migration("d", "b", execute("ALTER TABLE users ADD COLUMN two int")),
    )
    job = await site.run(MERGE_HEADS)
    assert job.state == "succeeded", outcome(job)
    assert (await kept(site, job)).merge.column_orders == ("public.users",)
    assert "Only the columns of public.users come in another order" in outcome(job)["account"]
    async with surfaces(site) as client:
        shown = await page(client, f"/jobs/{job.id}/merge")
        assert "The columns of public.users come in another order" in shown
        assert "column order differs" in shown


async def test_three_heads_in_six_orders(site: Site) -> None:
    """Two of them agree with each other, and the third with neither."""
    site.write(d=ROOMS, e=migration("e", "a", execute("CREATE TABLE beds (id int PRIMARY KEY)")))
    stored = await merged(site)
    assert len(stored.merge.orders) == 6
    assert stored.merge.every_order
    assert set(stored.merge.heads) == {"c", "d", "e"}
    site.write(
        d=migration("d", "b", execute("CREATE TABLE beds (id int PRIMARY KEY, d int)")),
        e=migration("e", "a", execute("CREATE TABLE IF NOT EXISTS beds (id int PRIMARY KEY)")),
    )
    assert "beds" in await refused(site)


def test_the_orders_of_many_heads() -> None:
    """Each is first once, and every two of them are run in both orders."""
    assert set(orders_of("ab")) == {("a", "b"), ("b", "a")}
    assert len(orders_of("abc")) == 6
    for number in (4, 5, 9):
        heads = [str(each) for each in range(number)]
        orders = orders_of(heads)
        assert [each[0] for each in orders] == heads
        for one in heads:
            for other in heads:
                ways = {each.index(one) < each.index(other) for each in orders if one != other}
                assert ways in ({True, False}, set())


async def test_labels_and_two_version_locations(site: Site) -> None:
    """The file goes where the first head's is."""
    more = "version_locations = %(here)s/migrations/versions:%(here)s/migrations/more\n"
    tenants = migration("c", "b", execute("CREATE TABLE tenants (id int)"), branch_labels=("tenants",))
    write_project(site.folder, {"c": tenants}, ini=INI + more)
    (site.folder / "migrations" / "more").mkdir()
    (site.folder / "migrations" / "more" / "d.py").write_text(
        migration("d", "b", execute("CREATE TABLE rooms (id int PRIMARY KEY)"), branch_labels=("rooms",))
    )
    stored = await merged(site)
    place = {"c": "versions", "d": "more"}[stored.merge.heads[0]]
    assert Path(stored.merge.path).parent == Path("migrations") / place
    git(site.folder, "init", "-q")
    assert git(site.folder, "apply", given=stored.change_set.patch()).returncode == 0
    clinic = site.configuration.project("clinic")
    assert (await tool_of(clinic).history(clinic)).heads == (stored.revision,)
    await site.observe()
    done = await site.run(MIGRATE)
    assert done.state == "succeeded", outcome(done)
    assert site.revisions == [stored.revision]


async def test_what_is_not_merged_says_why(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "The history has one head, c: there is nothing to merge." in await refused(site)
    site.write(z=migration("z", None, execute("CREATE TABLE alone (id int)")))
    assert "share no base, so there is nothing to merge" in await refused(site)
    site.write(z=migration("z", "b", "pass"))
    site.change(follow=("heads",))
    assert "Several heads are meant: clinic/dev follows heads." in await refused(site)
    clinic = replace(site.configuration.project("clinic"), follow=("heads",))
    site.configuration = replace(site.configuration, projects={"clinic": clinic})
    assert "Several heads are meant: clinic follows heads." in await refused(site)
    site.configuration = replace(site.configuration, projects={"clinic": replace(clinic, follow=())})
    site.change(follow=())
    site.write(z=migration("z", "nowhere", "pass"))
    assert "nowhere" in await refused(site)
    monkeypatch.setitem(TOOLS, "alembic", Numbered())
    assert "Clean Start cannot merge heads with" in await refused(site)


def test_a_message_that_nobody_gave() -> None:
    assert default_message(("a", "b")) == "Merge a, b"
    assert default_message(("a" * 60, "b" * 60)) == "Merge 2 heads"
    assert default_message(("it's", "b")) == "Merge 2 heads"


async def test_a_downgrade_that_the_template_has_not(site: Site) -> None:
    (site.folder / "migrations" / "script.py.mako").write_text(
        '"""${message}"""\nrevision = ${repr(up_revision)}\ndown_revision = ${repr(down_revision)}\n'
        "def upgrade():\n    ${upgrades}\n"
    )
    site.write(d=ROOMS)
    stored = await merged(site)
    assert stored.merge.no_downgrade == "the project's own template has no downgrade"
    assert stored.merge.text.startswith('"""Merge ')


async def test_a_template_that_does_more_than_it_should(site: Site) -> None:
    (site.folder / "migrations" / "script.py.mako").write_text(
        '"""${message}"""\nfrom alembic import op\nrevision = ${repr(up_revision)}\n'
        "down_revision = ${repr(down_revision)}\n"
        "def upgrade():\n    op.execute('CREATE TABLE more (id int)')\n"
        "def downgrade():\n    op.execute('DROP TABLE more')\n"
    )
    site.write(d=ROOMS)
    assert "It changes the schema itself: the table public.more." in await refused(site)


async def test_into_the_source_and_back(site: Site) -> None:
    """The same way as a baseline: as a commit on a branch, and as files."""
    writable(site)
    site.write(d=ROOMS)
    stored = await merged(site)
    before = files(site.folder)
    written = await site.run(WRITE_BASELINE, merge=stored.job_id)
    assert written.state == "succeeded", outcome(written)
    assert outcome(written)["title"] == f"Merge {stored.revision} written into the source"
    assert files(site.folder) == {**before, stored.merge.path: stored.merge.text.encode()}
    assert (await kept(site, await site.job(stored.job_id))).written is not None
    back = await site.run(TAKE_BACK_BASELINE, merge=stored.job_id)
    assert back.state == "succeeded", outcome(back)
    assert files(site.folder) == before
    committed(site.folder)
    async with surfaces(site) as client:
        shown = await page(client, f"/jobs/{stored.job_id}/merge")
        assert f"/projects/clinic/jobs/new/write-baseline?merge={stored.job_id}" in shown
        asked = await page(client, f"/projects/clinic/jobs/new/write-baseline?merge={stored.job_id}")
        assert "Write the change set into the source of" in asked
        assert f'name="merge" value="{stored.job_id}"' in asked
    written = await site.run(WRITE_BASELINE, merge=stored.job_id)
    assert written.state == "succeeded", outcome(written)
    assert said(site.folder, "log", "-1", "--format=%s") == f"Merge the heads {', '.join(stored.merge.heads)}"
    assert said(site.folder, "symbolic-ref", "HEAD") == f"refs/heads/clean-start/{stored.revision}"
    assert said(site.folder, "status", "--porcelain") == ""
    await site.observe()
    done = await site.run(MIGRATE)
    assert done.state == "succeeded", outcome(done)
    assert site.revisions == [stored.revision]
    await site.observe()
    async with surfaces(site) as client:
        shown = await page(client, f"/jobs/{stored.job_id}/merge")
        assert "It is in the project's source: commit" in shown
        asked = await page(client, f"/projects/clinic/jobs/new/take-back-baseline?merge={stored.job_id}")
        # What is no number of a job names none.
        for wrong in ("9" * 20, "9" * 5000, "-1", "one"):
            told = await client.get(f"/projects/clinic/jobs/new/take-back-baseline?merge={wrong}")
            assert told.status_code < 500, told.text
        assert f"clinic/dev is at {stored.revision}" in asked
        assert "/jobs/" in await page(client, f"/jobs/{written.id}")
    back = await site.run(TAKE_BACK_BASELINE, merge=stored.job_id)
    assert back.state == "succeeded", outcome(back)
    assert said(site.folder, "symbolic-ref", "HEAD") == "refs/heads/main"


async def test_a_merge_of_what_was_there_before_is_not_written(site: Site) -> None:
    """The patch would apply, and the history would have two heads again."""
    writable(site)
    site.write(d=ROOMS)
    stored = await merged(site)
    for more in ({"e": migration("e", "d")}, {"d": ROOMS.replace("rooms", "halls")}):
        site.write(**more)
        written = await site.run(WRITE_BASELINE, merge=stored.job_id)
        assert "The migrations are not those that were merged." in outcome(written)["account"]
        (site.folder / "migrations" / "versions" / "e.py").unlink(missing_ok=True)
    site.write(d=ROOMS)
    (site.folder / stored.merge.path).write_text("somebody's")
    written = await site.run(WRITE_BASELINE, merge=stored.job_id)
    assert written.state == "failed"
    assert (site.folder / stored.merge.path).read_text() == "somebody's"


async def test_a_change_set_is_one_jobs(site: Site) -> None:
    writable(site)
    site.write(d=ROOMS)
    stored = await merged(site)
    clinic = site.configuration.project("clinic")
    assert WRITE_BASELINE.require_named is not None
    async with site.store.connect() as store:
        for given in ({"baseline": stored.job_id}, {"merge": 10**9}, {}):
            with pytest.raises(NotFound):
                await WRITE_BASELINE.require_named(store, clinic, None, WriteBaselineParameters(**given))
    with pytest.raises(ValueError, match="not both"):
        WriteBaselineParameters(baseline=1, merge=2)


async def test_it_is_offered_where_there_are_several_heads(site: Site) -> None:
    await site.at_head()
    place, way = "/projects/clinic", "/projects/clinic/jobs/new/merge-heads"
    async with surfaces(site) as client:
        assert way not in await page(client, place)
        site.write(d=ROOMS)
        await site.observe()
        assert way in await page(client, place)
        assert way in await page(client, f"{place}/environments/dev/migrations")
        assert "Merge the heads of" in await page(client, way)
        site.write(d=migration("d", None, "pass"))
        await site.observe()
        assert way not in await page(client, place)
