"""Adopt: what somebody did by hand becomes a migration of the project's own, proven by running it."""

from __future__ import annotations

import ast
import sys

import psycopg
import pytest
from pydantic import ValidationError

from tests.operations.conftest import Site, outcome
from tests.operations.test_revert import drifted
from tests.remedies.test_ignoring import add, rule
from tests.tools.test_commands import SHARED, SHOP
from web.operations.adopt import ADOPT, AdoptParameters
from web.operations.stamp import STAMP
from web.remedies.adoption import Adoption, adoption_of

TEMPLATE = '''"""${message}

Made for the clinic.
"""
from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
'''


#: A program that makes what its models say in an empty database, and says that its migrations have run.
START = """#!{python}
import os, sys
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect, text

config = Config(os.path.join(os.path.dirname(os.path.abspath(__file__)), "alembic.ini"))
engine = create_engine(os.environ["DATABASE_URL"])
if inspect(engine).has_table("alembic_version"):
    command.upgrade(config, sys.argv[1])
else:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL, tenant int)"))
        connection.execute(text("CREATE TABLE tenants (id int PRIMARY KEY)"))
    command.stamp(config, "heads")
"""


async def adopted(site: Site, **parameters: str) -> Adoption:
    job = await site.run(ADOPT, **parameters)
    async with site.store.connect() as store:
        found = await adoption_of(store, job.id)
    assert found is not None, outcome(job)
    assert (job.state == "succeeded") == found[0].proven, outcome(job)
    return found[0]


@pytest.mark.parametrize("template", [True, False])
async def test_drift_becomes_a_migration_in_the_projects_style(site: Site, template: bool) -> None:
    if template:
        (site.folder / "migrations" / "script.py.mako").write_text(TEMPLATE)
    await drifted(site)
    files = {file.name for file in (site.folder / "migrations" / "versions").iterdir()}
    written = await adopted(site, message="note and check")
    assert written.proven
    assert written.no_downgrade is None
    assert written.down == "c"
    assert len(written.adopted) == 4
    assert "op.add_column('users', sa.Column('note', sa.Text()" in written.text
    assert "op.create_index(op.f('by_email'), 'users', ['email'], unique=False)" in written.text
    assert "op.drop_column('users', 'note')" in written.text
    assert ("Made for the clinic." in written.text) == template
    ast.parse(written.text)
    # The source is as it was.
    assert {file.name for file in (site.folder / "migrations" / "versions").iterdir()} == files

    early = await site.run(STAMP, revision="b")
    assert early.state == "failed"
    assert "Nothing was recorded" in outcome(early)["account"]
    (site.folder / written.path).write_text(written.text)
    assert (await site.observe()).drift.count == 4
    stamped = await site.run(STAMP)
    assert stamped.state == "succeeded", outcome(stamped)
    assert site.revisions == [written.revision]
    assert (await site.observe()).drift.state == "none"
    assert (await site.run(STAMP)).outcome["title"] == "Nothing to stamp"  # type: ignore[index]


@pytest.mark.parametrize(
    "message",
    [
        " ",
        "\u2003",
        "\x85",
        "a\x85b",
        "a\u2028b",
        "a\u2029b",
        "\u202etxt",
        "a\u2066b",
        "\u200b",
        "a\nb",
        "a\n",
        'a"',
        "\\",
    ],
)
def test_a_message_is_one_line_that_reads_as_it_is_written(message: str) -> None:
    with pytest.raises(ValidationError, match="message"):
        AdoptParameters(message=message)


@pytest.mark.parametrize("message", ["x", " a  b ", "%s {{x}} ${y}", "日本", "می\u200cخواهم", "👩\u200d⚕️"])
def test_a_message_may_be_in_any_language(message: str) -> None:
    assert AdoptParameters(message=message).message == message


#: What would like to be SQL, Python, a parameter of the driver's or of the template.
HOSTILE = '"a""b; DROP TABLE x; --\'%s{}:x \\ ${y} \n\U0001f642"'


async def test_whatever_things_are_called(site: Site) -> None:
    (site.folder / "migrations" / "script.py.mako").write_text(TEMPLATE)
    await drifted(
        site,
        f"CREATE TABLE {HOSTILE} ({HOSTILE} text DEFAULT ':x %s')",
        "CREATE INDEX ON users (email) WHERE email <> ':a%'",
    )
    written = await adopted(site)
    assert written.proven
    assert written.no_downgrade is None


async def test_definitions_of_any_length(site: Site) -> None:
    """A comment that is longer than a variable of the environment may be."""
    await drifted(site)
    site.query(f"COMMENT ON TABLE users IS '{'long ' * 60_000}'")
    await site.observe()
    assert (await adopted(site)).proven


async def test_a_project_without_migrations_is_told_so(site: Site) -> None:
    for file in (site.folder / "migrations" / "versions").glob("*.py"):
        file.unlink()
    site.query("CREATE TABLE by_hand (id int PRIMARY KEY)")
    await site.observe()
    job = await site.run(ADOPT)
    assert job.state == "failed"
    assert "no migrations in" in outcome(job)["account"]


async def test_what_is_ignored_stays_out_of_it(site: Site) -> None:
    await drifted(site)
    await add(site, rule(pattern="public.by_email"))
    written = await adopted(site)
    assert written.proven
    assert "by_email" not in written.text
    assert len(written.adopted) == 3
    # It is named: the old head plus the file does not give it.
    assert [each.object for each in written.ignored] == ["public.by_email"]
    assert written.to_json()["ignored"] == [each.to_json() for each in written.ignored]
    (site.folder / written.path).unlink(missing_ok=True)
    again = outcome(await site.run(ADOPT))
    assert "but for 1 that is left out of it" in again["account"]


async def test_only_what_was_asked_for(site: Site) -> None:
    """The rest stays drift: the old head plus the file gives everything but that."""
    await drifted(site, "CREATE INDEX by_email ON users (email)", "ALTER TABLE users ADD COLUMN x int")
    written = await adopted(site, only="public.users.x")
    assert written.proven
    assert "by_email" not in written.text
    assert [each.object for each in written.adopted] == ["public.users.x"]
    assert [each.object for each in written.ignored] == ["public.by_email"]
    job = await site.run(ADOPT, only="public.nothing")
    assert job.state == "failed"
    assert "No difference is one of public.nothing." in outcome(job)["account"]


async def test_only_what_was_renamed(site: Site) -> None:
    """From the other side it goes by its other name."""
    await drifted(site, "ALTER TABLE users RENAME COLUMN email TO mail", "CREATE TABLE extra (id int)")
    written = await adopted(site, only="public.users.mail")
    assert written.proven
    assert [each.object for each in written.adopted] == ["public.users.mail"]
    assert [each.object for each in written.ignored] == ["public.extra"]


async def test_a_part_of_what_was_renamed_is_not_claimed(site: Site) -> None:
    """It has another name on each side."""
    await drifted(site, "ALTER TABLE tenants RENAME TO clients", "COMMENT ON COLUMN clients.id IS 'whose'")
    job = await site.run(ADOPT, only="public.clients.id")
    assert job.state == "failed"
    assert "cannot be told apart" in outcome(job)["account"]


async def test_a_database_behind_its_head_is_not_adopted(site: Site) -> None:
    await drifted(site)
    site.query("UPDATE alembic_version SET version_num = 'b'")
    site.query("DROP TABLE tenants")
    job = await site.run(ADOPT)
    assert job.state == "failed"
    assert "not at the head" in outcome(job)["account"]


async def test_what_cannot_be_written_is_named(site: Site) -> None:
    await drifted(
        site, "CREATE CAST (text AS int) WITH INOUT AS ASSIGNMENT", "ALTER TABLE users ADD COLUMN x int"
    )
    written = await adopted(site)
    assert written.proven
    assert [(each.kind, reason) for each, reason in written.left] == [
        ("cast", "Clean Start does not write a cast.")
    ]
    # The file makes no cast, so its downgrade has none to drop.
    assert written.no_downgrade is None
    assert "op.drop_column('users', 'x')" in written.text


async def test_nothing_to_adopt(site: Site) -> None:
    await drifted(site, "CREATE TABLE extra (id int)")
    site.query("DROP TABLE extra")
    job = await site.run(ADOPT)
    assert (job.state, outcome(job)["title"]) == ("succeeded", "Nothing to adopt")


async def test_what_never_ran_is_not_said_to_leave_a_difference(site: Site) -> None:
    """env.py sets version folders of its own (as prefect's does): the new migration lies where nobody looks."""
    await drifted(site)
    versions = site.folder / "migrations" / "versions"
    env_py = site.folder / "migrations" / "env.py"
    own = f"context.script.version_locations = [{str(versions)!r}]\n"
    env_py.write_text(f"{env_py.read_text()}".replace("\nrun()\n", f"\n{own}\nrun()\n"))
    written = await adopted(site)
    assert written.refusal is not None
    assert f"did not run {written.revision}" in written.refusal
    assert "it ran none" in written.refusal
    assert written.remaining == ()


async def test_a_way_back_is_there_only_where_it_was_seen_to_run(site: Site) -> None:
    """A downgrade that Alembic is told to do, and env.py does not do."""
    await drifted(site)
    env_py = site.folder / "migrations" / "env.py"
    text = env_py.read_text().replace(
        "\nrun()\n", "\nimport sys\nif 'downgrade' in sys.argv:\n    raise SystemExit(0)\nrun()\n"
    )
    env_py.write_text(text)
    written = await adopted(site)
    assert written.proven
    # Reviewers of the project read a sentence; what was seen is the job's.
    sentence = "There is no way back: undoing this was tried, and did not run to its end."
    assert written.no_downgrade == sentence
    assert f"    raise NotImplementedError({sentence!r})\n" in written.text
    assert "never ran Alembic on the database" in (written.no_downgrade_detail or "")
    assert "op.add_column('users'" in written.text


async def test_an_error_of_the_way_back_is_no_part_of_the_file(site: Site) -> None:
    """The server's own words, and whatever they name, are the job's."""
    await drifted(site)
    env_py = site.folder / "migrations" / "env.py"
    refused = 'if "downgrade" in sys.argv: connection.execute(text("SELECT 1/0"))'
    text = env_py.read_text().replace(
        "context.run_migrations()", f"{refused}\n            context.run_migrations()"
    )
    env_py.write_text(f"import sys\nfrom sqlalchemy import text\n{text}")
    job = await site.run(ADOPT)
    async with site.store.connect() as store:
        found = await adoption_of(store, job.id)
    assert found is not None
    (written, _) = found
    assert written.proven
    sentence = "There is no way back: undoing this was tried, and PostgreSQL refused it."
    assert written.no_downgrade == sentence
    assert sentence in written.text
    assert "division by zero" not in written.text
    detail = outcome(job)["data"]["no_downgrade_detail"]
    assert "division by zero" in detail
    assert written.to_json()["no_downgrade_detail"] == detail
    assert "op.add_column('users'" in written.text


async def test_a_template_without_a_downgrade_gets_calls(site: Site) -> None:
    template = TEMPLATE.partition("def downgrade")[0]
    (site.folder / "migrations" / "script.py.mako").write_text(template)
    await drifted(site)
    written = await adopted(site)
    assert written.proven
    assert written.no_downgrade == "The project's template has no downgrade."
    assert "op.add_column('users', sa.Column('note', sa.Text()" in written.text
    assert "downgrade" not in written.text


BODY = "CREATE FUNCTION {name}() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.{table}'"
OFF = "op.execute('SET LOCAL check_function_bodies = off')"


async def test_bodies_that_name_what_is_made_after_them(site: Site) -> None:
    """A table's default calls a function that reads the table: it has to be made first, and not checked."""
    await drifted(site)
    with psycopg.connect(site.url) as connection:
        connection.execute("SET check_function_bodies = off")
        connection.execute(BODY.format(name="visit_count", table="visits"))
        connection.execute("CREATE TABLE visits (id int PRIMARY KEY, n bigint DEFAULT visit_count())")
    await site.observe()
    written = await adopted(site)
    assert written.proven, written.refusal
    assert written.no_downgrade is None
    upgrade, _, downgrade = written.text.partition("def downgrade")
    assert upgrade.count(OFF) == 1
    assert upgrade.index(OFF) < upgrade.index("CREATE FUNCTION")
    assert "check_function_bodies" not in downgrade
    assert "op.create_table(" in upgrade


async def test_bodies_that_name_what_is_there_are_checked(site: Site) -> None:
    await drifted(site, BODY.format(name="user_count", table="users"))
    written = await adopted(site)
    assert written.proven
    assert written.no_downgrade is None
    assert "CREATE FUNCTION" in written.text
    assert "check_function_bodies" not in written.text


async def test_a_project_with_commands_of_its_own(site: Site) -> None:
    """Its upgrade has a connection and folders of its own, and there is no command that goes back."""
    program = site.folder / "clinic"
    program.write_text(SHOP.format(python=sys.executable))
    program.chmod(0o755)
    (site.folder / "migrations" / "env.py").write_text(SHARED)
    (site.folder / "alembic.ini").write_text("[alembic]\n")
    commands = {"upgrade": (str(program), "upgrade", "{revision}"), "history": (str(program), "history")}
    site.set_tool(commands=commands)
    await drifted(site)
    written = await adopted(site)
    assert written.proven, written.refusal
    assert written.no_downgrade is None
    assert "op.add_column('users', sa.Column('note', sa.Text()" in written.text
    assert written.path.startswith("migrations/versions/")


async def test_a_start_that_makes_everything_and_stamps_it(site: Site) -> None:
    """In an empty database its command runs no migration at all, so the old head is reached without the new one."""
    await drifted(site)
    program = site.folder / "clinic"
    program.write_text(START.format(python=sys.executable))
    program.chmod(0o755)
    site.set_tool(commands={"upgrade": (str(program), "{revision}")})
    await site.observe()
    written = await adopted(site)
    assert written.proven, written.refusal
    assert written.no_downgrade is None
