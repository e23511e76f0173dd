"""Wherever a project has its migrations, the stand-in has them once, takes a new one and runs it."""

from __future__ import annotations

import compileall
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import dedent

import alembic
import pytest

from tests.tools.runs import ALEMBIC, ask, downgrade, project_of, replay
from tests.tools.test_commands import shop
from tests.tools.written import INI, env, execute, migration, tool_of, write_project
from web.config import AlembicSettings, Project
from web.errors import OperationFailed, SourceInvalid
from web.schema.ddl.statement import Statement
from web.tools.alembic_tool.stand_in import stand_in
from web.tools.alembic_tool.writing import write_migration
from web.tools.protocol import WrittenMigration

TEMPLATES = Path(alembic.__file__).with_name("templates")
TEMPLATE = (TEMPLATES / "generic" / "script.py.mako").read_text()
TABLE = execute("CREATE TABLE t (id int)")
FORTH = (Statement("ALTER TABLE public.t ADD COLUMN more jsonb"),)
BACK = (Statement("ALTER TABLE public.t DROP COLUMN more"),)
COLUMNS = "SELECT attname::text FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 1 AND NOT attisdropped"
IN_FOLDERS = "file_template = %%(year)d/%%(month).2d/%%(rev)s_%%(slug)s\n"


def put(folder: Path, files: dict[str, str]) -> None:
    """Write files, by their paths."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))


@dataclass
class Written:
    """What was written for a project, and where the stand-in's own files were."""

    file: WrittenMigration
    rows: list[object] = field(default_factory=list)


async def write(project: Project, database: str | None = None) -> Written:
    """Write a migration; with a database, run it there forth and back."""
    source = project.source
    assert isinstance(source, Path)
    before = sorted(source.rglob("*"))
    history = await ALEMBIC.history(project)
    if not history.complete:
        history = await ALEMBIC.ask_history(project)
    async with stand_in(project, source, history) as copy:
        done = Written(await write_migration(copy, history, "more of it", FORTH, BACK))
        if database is not None:
            result = await replay(copy, url=database)
            assert [one.revision for one in result.ran][-1] == done.file.revision
            assert len(result.ran) == len(history) + 1
            done.rows = await ask(database, COLUMNS)
            await downgrade(copy, url=database, revision=history.branch_heads[0])
            assert await ask(database, COLUMNS) == []
    assert sorted(source.rglob("*")) == before
    return done


def two_locations(folder: Path) -> AlembicSettings:
    put(
        folder,
        {
            "pyproject.toml": """
                [tool.alembic]
                script_location = "%(here)s/src/t/db"
                version_locations = ["%(here)s/src/t/db/versions", "%(here)s/src/t/db/more"]
                prepend_sys_path = ["src"]
                file_template = "%%(epoch)s_%%(rev)s_%%(slug)s"
                """,
            "src/t/__init__.py": "",
            "src/t/settings.py": 'OPTIONS = "of its own"',
            "src/t/db/env.py": "from t.settings import OPTIONS\n" + env(),
            "src/t/db/script.py.mako": TEMPLATE,
            "src/t/db/versions/0001_a.py": migration("0001", None, TABLE),
            "src/t/db/more/0002_b.py": migration("0002", "0001"),
        },
    )
    return tool_of(folder, "pyproject.toml")


def nested(folder: Path) -> AlembicSettings:
    put(
        folder,
        {
            "my app/alembic.ini": """
                [alembic]
                script_location = %(here)s/db scripts
                version_locations =
                  %(here)s/db scripts/core versions
                  %(here)s/plug 100%% ins/versions
                path_separator = newline
                recursive_version_locations = true
                prepend_sys_path = .
                timezone = Europe/Berlin
                """
            + IN_FOLDERS,
            "my app/db scripts/env.py": env(),
            "my app/db scripts/script.py.mako": TEMPLATE,
            "my app/db scripts/core versions/2024/01/a.py": migration("a", None, TABLE),
            "my app/db scripts/core versions/2024/02/b.py": migration("b", "a"),
            "my app/plug 100% ins/versions/c.py": migration("c", "b"),
            "my app/plug 100% ins/versions/nested/d.py": migration("d", "c"),
        },
    )
    return tool_of(folder, "my app/alembic.ini")


def resource(folder: Path) -> AlembicSettings:
    """In a package, which is imported from the checkout or from wherever it is installed."""
    put(
        folder,
        {
            "alembic.ini": "[alembic]\nscript_location = shop.db:migrations\n",
            "src/shop/__init__.py": "",
            "src/shop/db/__init__.py": "",
            "src/shop/db/migrations/env.py": env(),
            "src/shop/db/migrations/script.py.mako": TEMPLATE,
            "src/shop/db/migrations/versions/a.py": migration("a", None, TABLE),
        },
    )
    return tool_of(folder)


def linked(folder: Path) -> AlembicSettings:
    """The location is a link, one of its files is another; a third leads out of the project."""
    tool = write_project(folder, {})
    put(
        folder,
        {
            "migrations/script.py.mako": TEMPLATE,
            "shared/versions/a.py": migration("a", None, TABLE),
            "shared/b.py": migration("b", "a"),
        },
    )
    (folder / "migrations" / "versions").rmdir()
    (folder / "migrations" / "versions").symlink_to("../shared/versions")
    (folder / "shared" / "versions" / "b.py").symlink_to("../b.py")
    (folder / "shared" / "versions" / "a_again.py").symlink_to("a.py")
    (folder / "shared" / "versions" / ".#a.py").symlink_to("nobody@nowhere.1")
    return tool


def linked_folder(folder: Path) -> AlembicSettings:
    """Alembic does not walk into it."""
    tool = write_project(
        folder,
        {"a": migration("a", None, TABLE)},
        ini=INI + "recursive_version_locations = true\n" + IN_FOLDERS,
    )
    put(folder, {"migrations/script.py.mako": TEMPLATE, "old/z.py": migration("z", "a")})
    (folder / "migrations" / "versions" / "old").symlink_to("../../old")
    return tool


def named_in_full(folder: Path) -> AlembicSettings:
    """Locations that name the project's folder, in an ini that lies outside of it."""
    tool = write_project(folder / "source", {"a": migration("a", None, TABLE)})
    place = str(folder / "source").replace("%", "%%")
    put(folder, {"their.ini": f"[alembic]\nscript_location = {place}/migrations\n"})
    return replace(tool, config=folder / "their.ini", cwd=folder / "source")


PROJECTS: dict[str, tuple[Callable[[Path], AlembicSettings], str]] = {
    "two locations": (two_locations, "src/t/db/more/"),
    "nested, spaced": (nested, "my app/plug 100% ins/versions/20"),
    "resource of a package": (resource, "src/shop/db/migrations/versions/"),
    "links": (linked, "shared/versions/"),
    "linked folder": (linked_folder, "migrations/versions/20"),
}


@pytest.mark.parametrize("name", PROJECTS)
async def test_a_migration_is_written_where_its_head_is(name: str, tmp_path: Path, database: str) -> None:
    make, place = PROJECTS[name]
    variables = {"PYTHONPATH": str(tmp_path / "src")}
    project = replace(project_of(tmp_path, make(tmp_path)), env=variables)
    done = await write(project, database)
    assert done.file.path.startswith(place)
    assert done.rows == ["more"]
    assert "op.drop_column('t', 'more')" in done.file.text


async def test_an_ini_from_elsewhere_that_names_the_folder(tmp_path: Path, database: str) -> None:
    tool = named_in_full(tmp_path)
    done = await write(project_of(tmp_path / "source", tool), database)
    assert done.file.path.startswith("migrations/versions/")


async def test_a_projects_code_sets_where_they_are(tmp_path: Path, database: str) -> None:
    """Its configuration says nothing; its own commands have the folders, and the connection."""
    tool = shop(tmp_path)
    put(
        tmp_path,
        {"migrations/script.py.mako": TEMPLATE, "migrations/versions/t.py": migration("t", "r0001", TABLE)},
    )
    done = await write(project_of(tmp_path, tool), database)
    assert done.file.path.startswith("migrations/versions/")
    assert "op.add_column('t', sa.Column('more', postgresql.JSONB()" in done.file.text


#: As PyPI's own application has it: no ini, one program with commands, env.py that takes the URL from its settings.
WAREHOUSE = {
    "warehouse/__init__.py": "",
    "warehouse/__main__.py": """
        import os, sys
        import alembic.command, alembic.config
        from sqlalchemy import create_engine, text

        def configure():
            config = alembic.config.Config()
            config.set_main_option("script_location", "warehouse:migrations")
            config.set_main_option("url", os.environ["WAREHOUSE_URL"].replace("%", "%%"))
            return config

        group, command, *revisions = sys.argv[1:]
        assert group == "db"
        if command == "history":
            alembic.command.history(configure())
        else:
            engine = create_engine(os.environ["WAREHOUSE_URL"])
            with engine.connect() as connection:
                connection.execute(text("SELECT pg_advisory_lock(hashtext('alembic'))"))
                getattr(alembic.command, command)(configure(), *revisions)
        """,
    "warehouse/migrations/__init__.py": "",
    "warehouse/migrations/env.py": """
        from alembic import context
        from sqlalchemy import create_engine, pool, text

        options = context.config.get_section(context.config.config_ini_section)
        engine = create_engine(options.pop("url"), poolclass=pool.NullPool)
        with engine.connect() as connection:
            connection.execute(text("SET statement_timeout = 5000"))
            connection.commit()
            context.configure(connection=connection, transaction_per_migration=True)
            with context.begin_transaction():
                context.run_migrations()
        """,
    "warehouse/migrations/script.py.mako": TEMPLATE,
    "warehouse/migrations/versions/a.py": migration("a", None, TABLE),
    "warehouse/migrations/versions/b.py": migration("b", "a"),
}


@pytest.mark.parametrize("commands", ["upgrade downgrade history", "upgrade history", "upgrade"])
async def test_a_program_with_commands_for_everything(commands: str, tmp_path: Path, database: str) -> None:
    """The configuration is not the project's own, and names its package."""
    source = tmp_path / "source"
    put(source, WAREHOUSE)
    put(tmp_path, {"clean.ini": "[alembic]\nscript_location = warehouse:migrations\n"})
    given = {
        name: ("python", "-m", "warehouse", "db", name, *(() if name == "history" else ("{revision}",)))
        for name in commands.split()
    }
    tool = replace(
        tool_of(source),
        config=tmp_path / "clean.ini",
        cwd=source,
        commands=given,
        url_variable="WAREHOUSE_URL",
    )
    project = replace(
        project_of(source, tool), env={} if commands == "upgrade" else {"WAREHOUSE_URL": "none"}
    )
    done = await write(project, database)
    assert done.rows == ["more"]
    assert done.file.path.startswith("warehouse/migrations/versions/")
    assert "op.add_column('t', sa.Column('more', postgresql.JSONB()" in done.file.text


async def test_migrations_of_an_installed_package(tmp_path: Path, database: str) -> None:
    """The program imports the package from where it is installed, and that leads to the real migrations."""
    place = tmp_path / "site-packages" / "shop"
    put(
        place,
        {
            "__init__.py": "",
            "__main__.py": """
                from pathlib import Path
                from alembic import command
                from alembic.config import Config
                config = Config()
                config.set_main_option("script_location", str(Path(__file__).resolve().parent / "db" / "migrations"))
                command.upgrade(config, "head")
                """,
            "db/alembic.ini": "[alembic]\nscript_location = %(here)s/migrations\n",
            "db/__init__.py": "",
            "db/migrations/env.py": env(),
            "db/migrations/script.py.mako": TEMPLATE,
            "db/migrations/versions/a.py": migration("a", None, TABLE),
        },
    )
    tool = replace(tool_of(place, "db/alembic.ini"), commands={"upgrade": ("python", "-m", "shop")})
    whole = replace(project_of(place, tool), env={"PYTHONPATH": str(place.parent)}, readable=(place.parent,))
    assert (await write(whole, database)).file.path.startswith("db/migrations/versions/")


async def test_what_is_imported_from_above_the_project(tmp_path: Path, database: str) -> None:
    """Its own folder by its name, and another one beside it."""
    source = tmp_path / "shop"
    imports = "from shop.settings import ONE\nfrom beside.settings import TWO\n"
    tool = write_project(
        source,
        {"a": migration("a", None, TABLE)},
        env_py=imports + env(),
        ini=INI.replace("prepend_sys_path = .", "prepend_sys_path = .."),
    )
    put(tmp_path, {"shop/settings.py": "ONE = 1", "beside/settings.py": "TWO = 2"})
    project = replace(project_of(source, tool), readable=(tmp_path,))
    assert (await write(project, database)).rows == ["more"]


async def test_what_is_large_is_not_copied(tmp_path: Path) -> None:
    tool = replace(
        write_project(tmp_path, {"a": migration("a")}, ini=INI.replace("migrations", "")), commands={}
    )
    put(
        tmp_path,
        {
            "env.py": env(),
            "versions/a.py": migration("a"),
            "versions/node_modules/x/x.py": "raise SystemExit",
            "node_modules/x.py": "",
            ".venv/lib/x.py": "",
            "data/big.bin": "",
            "secret.toml": "password = 1",
            "state/ours.ini": "password = 1",
        },
    )
    project = replace(project_of(tmp_path, tool), hidden=(tmp_path / "secret.toml", tmp_path / "state"))
    async with stand_in(project, tmp_path, await ALEMBIC.history(project)) as copy:
        place = copy.source
        assert isinstance(place, Path)
        links = {str(each.relative_to(place)) for each in place.rglob("*") if each.is_symlink()}
        assert {
            "node_modules",
            ".venv",
            "data/big.bin",
            "versions/node_modules",
            "secret.toml",
            "state",
        } <= links
        assert not (place / "versions" / "a.py").is_symlink()


async def test_compiled_migrations_alone(tmp_path: Path, database: str) -> None:
    tool = write_project(tmp_path, {"a": migration("a", None, TABLE)}, ini=INI + "sourceless = true\n")
    versions = tmp_path / "migrations" / "versions"
    compileall.compile_dir(versions, quiet=2, legacy=True)
    (versions / "a.py").unlink()
    assert (await write(project_of(tmp_path, tool), database)).rows == ["more"]


async def test_a_source_that_is_read_only(tmp_path: Path, database: str) -> None:
    tool = write_project(tmp_path / "source", {"a": migration("a", None, TABLE)})
    for folder, _, _ in os.walk(tmp_path / "source"):
        Path(folder).chmod(0o555)
    assert (await write(project_of(tmp_path / "source", tool), database)).rows == ["more"]


async def test_a_template_without_a_downgrade(tmp_path: Path) -> None:
    tool = write_project(tmp_path, {"a": migration("a", None, TABLE)})
    put(tmp_path, {"migrations/script.py.mako": TEMPLATE.partition("def downgrade")[0]})
    file = (await write(project_of(tmp_path, tool))).file
    assert not file.leads_back
    assert "op.add_column('t', sa.Column('more', postgresql.JSONB()" in file.text
    compile(file.text, file.path, "exec")


async def test_a_template_without_a_place(tmp_path: Path) -> None:
    """One for several databases has a function for each."""
    ini = INI + "databases = one, two\n"
    tool = write_project(tmp_path, {"a": migration("a", None, TABLE)}, ini=ini)
    put(tmp_path, {"migrations/script.py.mako": (TEMPLATES / "multidb" / "script.py.mako").read_text()})
    with pytest.raises(OperationFailed, match="no place for `upgrades`"):
        await write(project_of(tmp_path, tool))


async def test_a_template_that_imports_little(tmp_path: Path, database: str) -> None:
    tool = write_project(tmp_path, {"a": migration("a", None, TABLE)})
    template = "\n".join(
        line for line in TEMPLATE.splitlines() if " import op" not in line and "sa" not in line.split()
    )
    put(tmp_path, {"migrations/script.py.mako": template.replace('"""${message}', '"""\u2028${message}', 1)})
    assert (await write(project_of(tmp_path, tool), database)).rows == ["more"]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("${team_name}", "'team_name' is not defined"),
        ("${config.get_main_option('no_such').upper()}", "AttributeError"),
    ],
)
async def test_a_template_that_needs_more(tmp_path: Path, template: str, reason: str) -> None:
    tool = write_project(tmp_path, {"a": migration("a")})
    put(tmp_path, {"migrations/script.py.mako": TEMPLATE + template})
    with pytest.raises(OperationFailed, match=reason) as raised:
        await write(project_of(tmp_path, tool))
    assert "cannot be filled in" in str(raised.value)


HOOKS = """
[post_write_hooks]
hooks = mark, absent
mark.type = exec
mark.executable = {mark}
mark.options = REVISION_SCRIPT_FILENAME
absent.type = console_scripts
absent.entrypoint = black_that_is_not_there
"""


async def test_hooks_run_and_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    tool = write_project(tmp_path, {"a": migration("a")}, ini=INI + HOOKS.format(mark=mark))
    mark.write_text('#!/bin/sh\necho "# marked" >> "$1"\n')
    mark.chmod(0o755)
    file = (await write(project_of(tmp_path, tool))).file
    assert file.text.endswith("# marked\n")
    (remark,) = file.remarks
    assert "black_that_is_not_there" in remark


async def test_a_hook_that_takes_the_file_away(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    tool = write_project(tmp_path, {"a": migration("a")}, ini=INI + HOOKS.format(mark=mark))
    mark.write_text('#!/bin/sh\nrm "$1"\n')
    mark.chmod(0o755)
    with pytest.raises(OperationFailed, match="hook of the project took the file"):
        await write(project_of(tmp_path, tool))


async def test_a_name_that_is_taken(tmp_path: Path) -> None:
    tool = write_project(tmp_path, {"a": migration("a")}, ini=INI + "file_template = a\n")
    with pytest.raises(OperationFailed, match=r"name of a file that is there: a\.py"):
        await write(project_of(tmp_path, tool))


@pytest.mark.parametrize("followed", [True, False])
async def test_a_location_outside_of_the_project(tmp_path: Path, followed: bool, database: str) -> None:
    """One of two locations is another product's; what follows its migration would belong there."""
    source, theirs = tmp_path / "source", migration("b", "a" if followed else None)
    put(tmp_path, {"theirs/b.py": theirs})
    locations = "version_locations = %(here)s/migrations/versions:%(here)s/../theirs\n"
    tool = write_project(source, {"a": migration("a", None if followed else "b", TABLE)}, ini=INI + locations)
    project = replace(project_of(source, tool), readable=(tmp_path / "theirs",))
    if followed:
        with pytest.raises(SourceInvalid, match="not in the project's folder"):
            await write(project)
    else:
        assert (await write(project, database)).file.path.startswith("migrations/versions/")
