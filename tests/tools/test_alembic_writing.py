"""A migration file is written by the project's own Alembic, with what the project says about its files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import alembic
import pytest

from tests.tools.foreign import foreign
from tests.tools.runs import ALEMBIC, ask, downgrade, project_of, replay
from tests.tools.written import INI, execute, migration, write_project
from web.config import AlembicSettings
from web.errors import CleanStartError, OperationFailed, SourceInvalid
from web.schema.ddl.statement import Statement
from web.tools.alembic_tool.stand_in import stand_in
from web.tools.alembic_tool.writing import write_migration
from web.tools.history import History
from web.tools.protocol import WrittenMigration

TEMPLATE = Path(alembic.__file__).with_name("templates") / "generic" / "script.py.mako"
MADE = execute("CREATE TABLE t (id int)", "CREATE TYPE mood AS ENUM ('old')")
FORTH = (
    Statement("ALTER TABLE public.t ADD COLUMN at timestamp with time zone"),
    Statement("ALTER TABLE public.t ADD COLUMN more jsonb"),
    Statement("ALTER TYPE public.mood ADD VALUE 'new'", alone=True),
)
BACK = (Statement("ALTER TABLE public.t DROP COLUMN at", destructive=True, note="Two\nlines."),)


def write(folder: Path, ini: str = INI) -> AlembicSettings:
    tool = write_project(folder, {"a": migration("a", None, MADE)}, ini=ini)
    (folder / "migrations" / "script.py.mako").write_text(TEMPLATE.read_text())
    return tool


async def written(folder: Path, tool: AlembicSettings) -> WrittenMigration:
    project = project_of(folder, tool)
    history = await ALEMBIC.history(project)
    async with stand_in(project, folder, history) as copy:
        return await write_migration(copy, history, "what is live", FORTH, BACK)


async def test_the_file_has_the_projects_own_form(tmp_path: Path) -> None:
    tool = write(tmp_path, ini=INI + "file_template = %%(year)d_%%(slug)s\ntruncate_slug_length = 7\n")
    (tmp_path / "migrations" / "script.py.mako").write_text("# größer\n" + TEMPLATE.read_text())
    before = sorted(tmp_path.rglob("*"))
    file = await written(tmp_path, tool)
    assert sorted(tmp_path.rglob("*")) == before
    assert Path(file.path).parent == Path("migrations/versions")
    assert Path(file.path).name.endswith("_what_.py")
    assert file.text.startswith("# größer\n")
    assert "from sqlalchemy.dialects import postgresql" in file.text
    assert "    # Loses rows or values.\n    # Two lines.\n" in file.text
    compile(file.text, file.path, "exec")


async def test_the_oldest_alembic_writes_and_runs_it(tmp_path: Path, database: str) -> None:
    locations = "version_locations = %(here)s/migrations/versions:%(here)s/migrations/more\n"
    tool = write(tmp_path, ini=INI.replace("path_separator", "version_path_separator") + locations)
    (tmp_path / "migrations" / "more").mkdir()
    (tmp_path / "migrations" / "more" / "b.py").write_text(migration("b", "a"))
    tool = replace(tool, python=foreign("oldest").python, url_driver="postgresql+psycopg2")
    project = project_of(tmp_path, tool)
    columns = (
        "SELECT attname::text FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY 1"
    )
    history = await ALEMBIC.history(project)
    async with stand_in(project, tmp_path, history) as copy:
        file = await write_migration(copy, history, "old", FORTH, BACK)
        assert file.path.startswith("migrations/more/")
        await replay(copy, url=database)
        assert await ask(database, columns) == ["at", "id", "more"]
        assert await ask(database, "SELECT enumlabel::text FROM pg_enum ORDER BY 1") == ["new", "old"]
        await downgrade(copy, url=database, revision="a")
        assert "at" not in await ask(database, columns)


async def test_a_downgrade_that_is_none_says_why(tmp_path: Path, database: str) -> None:
    project = project_of(tmp_path, write(tmp_path))
    history = await ALEMBIC.history(project)
    async with stand_in(project, tmp_path, history) as copy:
        why = 'There is no way back: "it" is gone.'
        await write_migration(copy, history, "one way", FORTH, why)
        await replay(copy, url=database)
        with pytest.raises(CleanStartError, match='"it" is gone'):
            await downgrade(copy, url=database, revision="a")


async def test_migrations_outside_of_the_source_are_not_written_to(tmp_path: Path) -> None:
    tool = write(tmp_path / "elsewhere")
    ini = INI.replace("%(here)s/migrations", str(tmp_path / "elsewhere" / "migrations"))
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "alembic.ini").write_text(ini)
    with pytest.raises(SourceInvalid, match="are not below"):
        async with stand_in(project_of(tmp_path / "source", tool), tmp_path / "source", History()):
            pass


async def test_a_template_that_cannot_be_rendered(tmp_path: Path) -> None:
    tool = write(tmp_path)
    (tmp_path / "migrations" / "script.py.mako").write_text("${nothing_of_the_kind()}")
    with pytest.raises(OperationFailed, match="could not write a migration"):
        await written(tmp_path, tool)


async def test_a_merge_follows_every_head_and_does_nothing(tmp_path: Path, database: str) -> None:
    """In the project's own form, where the first head's file is; forth and back it changes nothing."""
    more = "version_locations = %(here)s/migrations/versions:%(here)s/migrations/more\nfile_template = %%(slug)s\n"
    tool = write(tmp_path, ini=INI + more)
    (tmp_path / "migrations" / "more").mkdir()
    (tmp_path / "migrations" / "versions" / "b.py").write_text(migration("b", "a", branch_labels=("left",)))
    (tmp_path / "migrations" / "more" / "c.py").write_text(migration("c", "a", depends_on="b"))
    (tmp_path / "migrations" / "versions" / "d.py").write_text(migration("d", "a"))
    project = project_of(tmp_path, tool)
    before = sorted(tmp_path.rglob("*"))
    history = await ALEMBIC.history(project)
    # One that another depends on has no version row of its own, so that Alembic could not run a merge of it.
    assert (set(history.branch_heads), set(history.heads)) == ({"b", "c", "d"}, {"c", "d"})
    async with stand_in(project, tmp_path, history) as copy:
        file = await ALEMBIC.write_merge(copy, ("c", "d"), "both of them")
        assert file.path == "migrations/more/both_of_them.py"
        assert file.leads_back
        merged = await ALEMBIC.history(copy)
        assert merged.heads == (file.revision,)
        found = merged.get(file.revision)
        assert found is not None
        assert (found.down, found.message) == (("c", "d"), "both of them")
        assert (await replay(copy, url=database)).applied == (file.revision,)
        back = await downgrade(copy, url=database, revision="c")
        assert set(merged.effective(back.applied)) == {"c", "d"}
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("template", [None, TEMPLATE.read_text().replace("downgrade()", "other()")])
async def test_a_merge_without_a_template_or_a_downgrade(
    tmp_path: Path, database: str, template: str | None
) -> None:
    tool = write_project(tmp_path, {"a": migration("a"), "b": migration("b", "a"), "c": migration("c", "a")})
    if template is not None:
        (tmp_path / "migrations" / "script.py.mako").write_text(template)
    project = project_of(tmp_path, tool)
    async with stand_in(project, tmp_path, await ALEMBIC.history(project)) as copy:
        file = await ALEMBIC.write_merge(copy, ("b", "c"), "both")
        assert "Revises: b, c\n" in file.text
        assert file.leads_back == (template is None)
        assert (await replay(copy, url=database)).applied == (file.revision,)


async def test_the_oldest_alembic_merges(tmp_path: Path, database: str) -> None:
    tool = write(tmp_path)
    for name in ("b", "c"):
        (tmp_path / "migrations" / "versions" / f"{name}.py").write_text(migration(name, "a"))
    tool = replace(tool, python=foreign("oldest").python, url_driver="postgresql+psycopg2")
    project = project_of(tmp_path, tool)
    async with stand_in(project, tmp_path, await ALEMBIC.history(project)) as copy:
        file = await ALEMBIC.write_merge(copy, ("b", "c"), "both")
        assert (await replay(copy, url=database)).applied == (file.revision,)
        assert set((await downgrade(copy, url=database, revision="b")).applied) == {"b", "c"}
