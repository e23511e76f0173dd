# ruff: noqa: E501, ISC004 (the table of messages keeps each of them whole)
"""cleanstart.toml: what a good file becomes, and the exact message of every bad one."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from web.config import Configuration, Prelude, ResetPolicy, Secret, is_loopback, load
from web.errors import ConfigurationInvalid, NotFound, SecretUnavailable
from web.tools.alembic_tool.settings import settings_of

GOOD = """\
public_url = "https://db.acme.internal"
programs = ["/opt/pg17/bin"]
[store]
url = "env:CLEANSTART_STORE_URL"
owner_url = "env:CLEANSTART_STORE_OWNER_URL"
[scratch]
15 = "env:CLEANSTART_SCRATCH_15_URL"
17 = "embedded"
[backups]
location = "backups"
[projects.clinic]
title = "Clinic “East” 🏥 <b>"
source = "/srv/clinic"
keeps = [
    "application code",
    "object storage", # with a comment
]
[projects.clinic.alembic]
config = "backend/alembic.ini"
python = "/srv/clinic/.venv/bin/python"
url_variable = "DATABASE_URL"
url_driver = "postgresql+asyncpg"
models = "clinic.models:Base.metadata"
prelude = { sql = "database/extensions.sql" }
time_limit = "30m"
commands = { upgrade = ["clinic", "db", "upgrade"] }
[projects.clinic.environments.dev]
url = "env:CLINIC_DEV_URL"
tier = "development"
reset = { seed = "database/seed.sql", script = "database/reset-database.sql" }
[projects.clinic.environments.production]
url = "file:secrets/clinic_production_url"
tier = "production"
approvals = 2
approvals_last = "8h"
application_role = "clinic_app"
backup = { max_age = "7d" }
"""

PROJECT = """\
[projects.clinic]
source = "/srv/clinic"
[projects.clinic.alembic]
config = "alembic.ini"
python = ".venv/bin/python"
"""

ENVIRONMENT = """\
[projects.clinic.environments.dev]
url = "env:CLINIC_DEV_URL"
tier = "development"
"""


def read(folder: Path, text: str) -> Configuration:
    file = folder / "cleanstart.toml"
    file.write_text(text, encoding="utf-8")
    return load(file)


def test_trusted_proxies(tmp_path: Path) -> None:
    assert read(tmp_path, "").trusted_proxies == ()
    written = read(tmp_path, 'trusted_proxies = ["10.0.0.5", " 192.168.0.0/24", "2001:db8::/64"]')
    assert [str(each) for each in written.trusted_proxies] == [
        "10.0.0.5/32",
        "192.168.0.0/24",
        "2001:db8::/64",
    ]


def test_the_whole_sample(tmp_path: Path) -> None:
    configuration = read(tmp_path, GOOD)
    assert configuration.file == tmp_path / "cleanstart.toml"
    assert configuration.public_url == "https://db.acme.internal"
    assert configuration.data_directory == tmp_path / ".cleanstart"
    assert configuration.store_url == Secret("env:CLEANSTART_STORE_URL")
    assert configuration.store_owner_url == Secret("env:CLEANSTART_STORE_OWNER_URL")
    assert configuration.scratch == {15: Secret("env:CLEANSTART_SCRATCH_15_URL"), 17: "embedded"}
    assert configuration.programs == (Path("/opt/pg17/bin"),)
    assert configuration.backups.location == str(tmp_path / "backups")

    clinic = configuration.project("clinic")
    assert clinic.title == "Clinic “East” 🏥 <b>"
    assert clinic.source == Path("/srv/clinic")
    assert clinic.keeps == ("application code", "object storage")
    assert settings_of(clinic).config == Path("/srv/clinic/backend/alembic.ini")
    assert clinic.tool.models == ("clinic.models:Base.metadata",)
    assert clinic.tool.prelude == Prelude(sql=Path("/srv/clinic/database/extensions.sql"))
    assert settings_of(clinic).commands == {"upgrade": ("clinic", "db", "upgrade")}
    assert configuration.lines["projects.clinic.alembic.url_driver"] == 22
    assert clinic.tool.time_limit == timedelta(minutes=30)
    assert settings_of(clinic).url_driver == "postgresql+asyncpg"
    assert list(clinic.environments) == ["dev", "production"]

    dev = configuration.environment("clinic", "dev")
    assert (dev.label, dev.tier, dev.approvals) == ("clinic/dev", "development", 0)
    assert dev.reset == ResetPolicy(
        seed=Path("/srv/clinic/database/seed.sql"), script=Path("/srv/clinic/database/reset-database.sql")
    )
    production = configuration.environment("clinic", "production")
    assert (production.approvals, production.approvals_last) == (2, timedelta(hours=8))
    assert production.application_role == "clinic_app"
    assert production.url.reference == f"file:{tmp_path}/secrets/clinic_production_url"
    assert production.reset is None
    assert production.backup.max_age == timedelta(days=7)


def test_models_in_several_modules(tmp_path: Path) -> None:
    configuration = read(tmp_path, PROJECT + 'models = ["shop.base:Base", "shop.billing.models"]\n')
    assert configuration.project("clinic").tool.models == ("shop.base:Base", "shop.billing.models")


def test_an_empty_file_is_a_dashboard_without_projects(tmp_path: Path) -> None:
    configuration = read(tmp_path, "")
    assert configuration.projects == {}
    assert configuration.store_url is None
    assert configuration.backups.location == str(tmp_path / ".cleanstart" / "backups")


def test_defaults_of_a_small_project(tmp_path: Path) -> None:
    configuration = read(tmp_path, PROJECT + ENVIRONMENT)
    clinic = configuration.project("clinic")
    assert (clinic.title, clinic.keeps) == ("clinic", ())
    assert (settings_of(clinic).section, settings_of(clinic).cwd, clinic.tool.prelude) == (
        "alembic",
        None,
        None,
    )
    assert settings_of(clinic).python == Path("/srv/clinic/.venv/bin/python")
    assert configuration.environment("clinic", "dev").backup.max_age == timedelta(hours=24)


def test_the_interpreter_keeps_its_link(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    text = PROJECT.replace("/srv/clinic", ".").replace(".venv/bin/python", "bin/python")
    assert settings_of(read(tmp_path, text).project("clinic")).python == tmp_path / "bin" / "python"


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    configuration = read(tmp_path, PROJECT + ENVIRONMENT)
    with pytest.raises(NotFound, match="no project “nowhere”"):
        configuration.project("nowhere")
    with pytest.raises(NotFound, match="no environment “stage” in project “clinic”"):
        configuration.environment("clinic", "stage")


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("https://db.acme.internal/", "https://db.acme.internal"),
        ("https://db.acme.internal:443", "https://db.acme.internal"),
        ("https://DB.acme.internal:8443", "https://db.acme.internal:8443"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://127.0.0.9:80", "http://127.0.0.9"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_public_url(tmp_path: Path, written: str, read_as: str) -> None:
    assert read(tmp_path, f'public_url = "{written}"').public_url == read_as


#: What the file says; the message, without the file's name.
BAD: dict[str, tuple[str, str]] = {
    # TOML itself
    "syntax": ("[store\nurl = 1", "1: not valid TOML: Expected ']' at the end of a table declaration in column 7"),
    "unclosed": ('title = """a\nb', "2: not valid TOML: Unterminated string at the end of the file"),
    "twice": (
        '[store]\nurl = "env:A"\nurl = "env:B"\n',
        "3: not valid TOML: Cannot overwrite a value in column 14",
    ),
    # unknown keys
    "unknown at the top": ('\npublik_url = "x"', '2: publik_url: unknown key; did you mean "public_url"?'),
    "unknown table": (
        "[colours]\nred = 1",
        "1: colours: unknown key; known here: backups, data_directory, programs, projects, public_url, scratch, store, "
        "trusted_proxies",
    ),
    "unknown in the project": (
        PROJECT.replace("source", "sorce"),
        '2: projects.clinic.sorce: unknown key; did you mean "source"?',
    ),
    "unknown in the environment": (
        PROJECT + ENVIRONMENT + 'reste = { seed = "a" }',
        '9: projects.clinic.environments.dev.reste: unknown key; did you mean "reset"?',
    ),
    "unknown in an inline table": (
        PROJECT + ENVIRONMENT + 'reset = { sed = "a" }',
        '9: projects.clinic.environments.dev.reset.sed: unknown key; did you mean "seed"?',
    ),
    "unknown in a dotted key": (
        PROJECT + ENVIRONMENT + 'reset.sed = "a"',
        '9: projects.clinic.environments.dev.reset.sed: unknown key; did you mean "seed"?',
    ),
    "unknown after an array of lines": (
        '[projects.clinic]\nkeeps = [\n "a",\n\n # c\n "b]",\n]\ntitel = """\nx\n"""\n',
        '8: projects.clinic.titel: unknown key; did you mean "title"?',
    ),
    "no answer to whether the source may be written": (
        PROJECT.replace("[projects.clinic]\n", '[projects.clinic]\nclean_start = { write = "yes" }\n'),
        '2: projects.clinic.clean_start.write: expected true or false, found text',
    ),
    "looks like a key within text": (
        '[projects.clinic]\ntitle = """\n[store]\nurl = 1\n"""\nx = 1',
        "6: projects.clinic.x: unknown key; known here: alembic, branch, clean_start, env, environments, follow, install, "
        "keeps, limits, readable, source, title, without_wall",
    ),
    "scratch of no version": (
        '[scratch]\nfifteen = "embedded"',
        "2: scratch.fifteen: unknown key; expected a major version of PostgreSQL, such as 17",
    ),
    # types
    "number for text": (
        PROJECT.replace('"/srv/clinic"', "5"),
        "2: projects.clinic.source: expected the folder of the project, found a whole number",
    ),
    "text for a table": ('store = "env:A"', "1: store: expected a table, found text"),
    "array for a table": ("[[projects]]\n", "1: projects: expected a table, found an array"),
    "text for an array": (
        '[projects.clinic]\nsource = "."\nalembic = {}\nkeeps = "code"',
        "4: projects.clinic.keeps: expected an array of text, found text",
    ),
    "number in an array": ('programs = [\n"a",\n1]', "1: programs: expected an array of folders, found a whole number in it"),
    "text for a flag": (
        PROJECT + ENVIRONMENT + 'reset = { spare = "yes" }',
        "9: projects.clinic.environments.dev.reset.spare: expected true or false, found text",
    ),
    "flag for a number": (
        PROJECT + ENVIRONMENT + "approvals = true",
        "9: projects.clinic.environments.dev.approvals: expected a whole number, found true or false",
    ),
    "negative": (
        PROJECT + ENVIRONMENT + "approvals = -1",
        "9: projects.clinic.environments.dev.approvals: expected a whole number that is not negative",
    ),
    "no duration": (
        PROJECT + ENVIRONMENT + 'backup = { max_age = "1 day" }',
        '9: projects.clinic.environments.dev.backup.max_age: expected a duration such as "30m", "24h" or "7d"',
    ),
    "empty text": (
        PROJECT.replace('"/srv/clinic"', '" "'),
        "2: projects.clinic.source: expected the folder of the project, found empty text",
    ),
    "date": ("public_url = 2026-01-01", "1: public_url: expected a URL such as https://db.acme.internal, found a date"),
    # what has to be there
    "no source": (
        '[projects.clinic]\ntitle = "x"',
        "1: projects.clinic.source: missing; expected the folder of the project",
    ),
    "no alembic": (
        '[projects.clinic]\nsource = "."',
        "1: projects.clinic.alembic: missing; expected a table that says how the project's Alembic is run",
    ),
    "no interpreter": (
        '[projects.clinic]\nsource = "."\n[projects.clinic.alembic]\nconfig = "alembic.ini"',
        "3: projects.clinic.alembic.python: missing; expected the project's own interpreter",
    ),
    "no url": (
        PROJECT + ENVIRONMENT.replace('url = "env:CLINIC_DEV_URL"\n', ""),
        "6: projects.clinic.environments.dev.url: missing; expected a reference to a secret: env:NAME or file:PATH",
    ),
    "source of an implied table": (
        '[projects.clinic.environments.dev]\nurl = "env:A"',
        "1: projects.clinic.source: missing; expected the folder of the project",
    ),
    # names
    "name with a space": (
        '[projects."my app"]\nsource = "."',
        '1: projects."my app": a name is 1 to 63 of a-z, 0-9, - and _, beginning with a letter or a digit, because it is part of URLs; a title may hold anything',
    ),
    "name in capitals": (
        PROJECT + ENVIRONMENT.replace("dev]", "Dev]"),
        "6: projects.clinic.environments.Dev: a name is 1 to 63 of a-z, 0-9, - and _, beginning with a letter or a digit, because it is part of URLs",
    ),
    "tier": (
        PROJECT + ENVIRONMENT.replace('"development"', '"prod"'),
        "8: projects.clinic.environments.dev.tier: expected one of development, staging, production; "
        'did you mean "production"?',
    ),
    # secrets
    "literal password": (
        PROJECT + ENVIRONMENT.replace("env:CLINIC_DEV_URL", "postgresql://u:hunter2@h/d"),
        "7: projects.clinic.environments.dev.url: secrets only by reference: expected a reference to a secret: env:NAME or file:PATH, found a URL",
    ),
    "libpq words": (
        '[store]\nurl = "host=h password=hunter2"',
        "2: store.url: expected a reference to a secret: env:NAME or file:PATH",
    ),
    "no variable": (
        '[store]\nurl = "env:$HOME"',
        "2: store.url: expected a reference to a secret: env:NAME or file:PATH",
    ),
    "scratch by URL": (
        '[scratch]\n15 = "postgresql://u:hunter2@h/d"',
        '2: scratch.15: secrets only by reference: expected "embedded", or a reference to a secret: '
        "env:NAME or file:PATH, found a URL",
    ),
    "owner without store": (
        '[store]\nowner_url = "env:A"',
        "2: store.owner_url: only together with url; without url the store is embedded",
    ),
    # public_url
    "plain http": (
        'public_url = "http://db.acme.internal"',
        "1: public_url: plain http only on loopback; expected https://, or http://localhost",
    ),
    "plain http to a look-alike": (
        'public_url = "http://localhost.example"',
        "1: public_url: plain http only on loopback; expected https://, or http://localhost",
    ),
    "another scheme": ('public_url = "ftp://db"', "1: public_url: expected https://HOST or https://HOST:PORT"),
    "no port": ('public_url = "https://db:x"', "1: public_url: expected https://HOST or https://HOST:PORT"),
    "password in public_url": (
        'public_url = "https://u:hunter2@db"',
        "1: public_url: expected https://HOST or https://HOST:PORT, without a user name or a password",
    ),
    "path in public_url": (
        'public_url = "https://db/clean"',
        "1: public_url: expected https://HOST or https://HOST:PORT, without a path: the dashboard is served at the root",
    ),
    # trusted_proxies
    "a proxy that is no array": (
        'trusted_proxies = "10.0.0.5"',
        '1: trusted_proxies: expected an array of addresses and networks, such as ["10.0.0.5", "192.168.0.0/24"], '
        "found text",
    ),
    "a proxy by name": (
        'trusted_proxies = [\n  "10.0.0.5",\n  "proxy.acme.internal",\n]',
        '1: trusted_proxies: expected an array of addresses and networks, such as ["10.0.0.5", "192.168.0.0/24"]; '
        "entry 2 is neither",
    ),
    "bits beyond the mask": (
        'trusted_proxies = ["10.0.0.5/8"]',
        '1: trusted_proxies: expected an array of addresses and networks, such as ["10.0.0.5", "192.168.0.0/24"]; '
        "entry 1 is neither",
    ),
    "everybody a proxy": (
        'trusted_proxies = ["::1", "0.0.0.0/0"]',
        "1: trusted_proxies: entry 2 is every address: anybody could say to be anywhere",
    ),
    # policies
    "reset on production": (
        PROJECT + ENVIRONMENT.replace("development", "production") + 'reset = { seed = "a.sql" }',
        "9: projects.clinic.environments.dev.reset: an environment of tier production is never reset; remove this key",
    ),
    "two preludes": (
        PROJECT + 'prelude = { sql = "a", command = ["b"] }',
        "6: projects.clinic.alembic.prelude: expected either sql (a file) or command (an array of text)",
    ),
    "empty prelude": (
        PROJECT + "prelude = {}",
        "6: projects.clinic.alembic.prelude: expected either sql (a file) or command (an array of text)",
    ),
    "command as text": (
        PROJECT + 'prelude = { command = "make db" }',
        '6: projects.clinic.alembic.prelude.command: expected a command as an array of text, such as ["clinic", "db", "upgrade"], found text',
    ),
    "url_variable": (
        PROJECT + 'url_variable = "DATABASE URL"',
        "6: projects.clinic.alembic.url_variable: expected the name of an environment variable, such as DATABASE_URL",
    ),
    "url_driver": (
        PROJECT + 'url_driver = "asyncpg"',
        "6: projects.clinic.alembic.url_driver: expected a dialect and driver, such as postgresql+asyncpg",
    ),
    "x_arguments": (
        PROJECT + 'x_arguments = ["url=postgresql://u:hunter2@h/d"]',
        '6: projects.clinic.alembic.x_arguments: expected an array of names, such as ["url"], without values',
    ),
    # in the sample, and built later
    "object store": (
        '[backups]\nlocation = "s3://key:hunter2@acme-backups"',
        "2: backups.location: not yet: object stores; expected a folder",
    ),
    "keep": (
        "[backups]\nkeep = { last = 7 }",
        "2: backups.keep: not yet: retention, every backup is kept; remove this key",
    ),
    "recipients": (
        '[backups]\nrecipients = ["age1"]',
        "2: backups.recipients: not yet: encryption, backups are not encrypted; remove this key",
    ),
    "identity": (
        '[backups]\nidentity = "file:/run/secrets/age-key"',
        "2: backups.identity: not yet: encryption, backups are not encrypted; remove this key",
    ),
    "git": (
        '[projects.clinic]\nsource = "https://u:hunter2@git.example/clinic.git"',
        "2: projects.clinic.source: not yet: sources in git; expected the folder of the project",
    ),
    "git by ssh": (
        '[projects.clinic]\nsource = "git@git.example:clinic.git"',
        "2: projects.clinic.source: not yet: sources in git; expected the folder of the project",
    ),
    "branch": (
        '[projects.clinic]\nsource = "."\nbranch = "main"',
        "3: projects.clinic.branch: not yet: sources in git; use a folder; remove this key",
    ),
    "models": (
        PROJECT + 'models = "clinic/models.py:Base.metadata"',
        "6: projects.clinic.alembic.models: expected module:attribute, such as \"clinic.models:Base.metadata\"",
    ),
    "models without an attribute": (
        PROJECT + 'models = ["clinic.models"]',
        '6: projects.clinic.alembic.models: expected module:attribute, such as "clinic.models:Base.metadata"; a module alone is imported and gives no tables',
    ),
    "models as a number": (
        PROJECT + "models = 3",
        '6: projects.clinic.alembic.models: expected module:attribute, such as "clinic.models:Base.metadata", found a whole number',
    ),
    "unknown command": (
        PROJECT + 'commands = { upgrad = ["clinic", "db", "upgrade"] }',
        '6: projects.clinic.alembic.commands.upgrad: unknown key; did you mean "upgrade"?',
    ),
    "downgrade without a place for the revision": (
        PROJECT + 'commands = { downgrade = ["clinic", "db", "downgrade"] }',
        "6: projects.clinic.alembic.commands.downgrade: expected {revision} where the command takes it",
    ),
    "empty command": (
        PROJECT + "commands = { upgrade = [] }",
        '6: projects.clinic.alembic.commands.upgrade: expected a command as an array of text, such as ["clinic", "db", "upgrade"], found an empty array',
    ),
    "spare": (
        PROJECT + ENVIRONMENT + "reset = { spare = true }",
        "9: projects.clinic.environments.dev.reset.spare: not yet: spare databases, a reset is done in place; remove this key",
    ),
    "application_role": (
        PROJECT + ENVIRONMENT + f'application_role = "{"é" * 32}"',
        "9: projects.clinic.environments.dev.application_role: expected the name of a role of at most 63 bytes, such as clinic_app",
    ),
    "approvals_last": (
        PROJECT + ENVIRONMENT + 'approvals_last = "soon"',
        '9: projects.clinic.environments.dev.approvals_last: expected a duration such as "30m", "24h" or "7d"',
    ),
    "schedule": (
        PROJECT + ENVIRONMENT + 'backup = { schedule = "0 3 * * *" }',
        "9: projects.clinic.environments.dev.backup.schedule: not yet: scheduled backups; remove this key",
    ),
    "verify": (
        PROJECT + ENVIRONMENT + "backup = { verify = true }",
        "9: projects.clinic.environments.dev.backup.verify: not yet: verifying by itself, start Verify by hand; remove this key",
    ),
    "smoke without a url": (
        PROJECT + ENVIRONMENT + "smoke = { expect = 204 }",
        "9: projects.clinic.environments.dev.smoke.url: missing; expected a URL such as https://clinic.example/healthz",
    ),
    "smoke of another scheme": (
        PROJECT + ENVIRONMENT + 'smoke = { url = "file:///etc/passwd" }',
        "9: projects.clinic.environments.dev.smoke.url: expected a URL such as https://clinic.example/healthz",
    ),
    "smoke without a host": (
        PROJECT + ENVIRONMENT + 'smoke = { url = "https:///healthz" }',
        "9: projects.clinic.environments.dev.smoke.url: expected a URL such as https://clinic.example/healthz",
    ),
    "smoke at no port": (
        PROJECT + ENVIRONMENT + 'smoke = { url = "https://clinic.example:99999/" }',
        "9: projects.clinic.environments.dev.smoke.url: expected a URL such as https://clinic.example/healthz",
    ),
    "smoke with a password": (
        PROJECT + ENVIRONMENT + 'smoke = { url = "https://ana:hunter2@clinic.example/healthz" }',
        "9: projects.clinic.environments.dev.smoke.url: expected a URL such as https://clinic.example/healthz, without a user name or a password",
    ),
    "smoke with a line break": (
        PROJECT + ENVIRONMENT + 'smoke = { url = "https://clinic.example/\\nhealthz" }',
        "9: projects.clinic.environments.dev.smoke.url: expected a URL such as https://clinic.example/healthz",
    ),
    "smoke expects no status": (
        PROJECT + ENVIRONMENT + 'smoke = { url = "https://clinic.example/healthz", expect = 600 }',
        "9: projects.clinic.environments.dev.smoke.expect: expected a status from 100 to 599, such as 200",
    ),
    "smoke expects text": (
        PROJECT + ENVIRONMENT + 'smoke = { url = "https://clinic.example/healthz", expect = "ok" }',
        "9: projects.clinic.environments.dev.smoke.expect: expected a whole number, found text",
    ),
    "smoke of an unknown key": (
        PROJECT + ENVIRONMENT + 'smoke = { url = "https://clinic.example/healthz", method = "POST" }',
        "9: projects.clinic.environments.dev.smoke.method: unknown key; known here: expect, url",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        read(tmp_path, text)
    assert str(caught.value) == f"{tmp_path}/cleanstart.toml:{message}"
    assert "hunter2" not in repr(caught.value) + str(vars(caught.value))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"missing\.toml: there is no such file$"):
        load(tmp_path / "missing.toml")
    with pytest.raises(ConfigurationInvalid, match=r": this is a folder; expected a file$"):
        load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# one\n# caf\xe9\n")
    with pytest.raises(ConfigurationInvalid, match=r"latin\.toml:2: expected UTF-8 text$"):
        load(tmp_path / "latin.toml")


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 3000 + "]" * 3000,
        "a = " + "{ a = " * 3000 + "1" + " }" * 3000,
        ".".join("a" * 3000) + " = 1",
        "[" + ".".join("a" * 3000) + "]",
    ],
    ids=["arrays", "tables", "dotted keys", "dotted headers"],
)
def test_what_is_nested_too_deeply(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        ConfigurationInvalid, match=r"cleanstart\.toml: tables or arrays are nested too deeply$"
    ):
        read(tmp_path, text)


def test_a_number_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"cleanstart\.toml: a number has too many digits$"):
        read(tmp_path, f"a = {'1' * 5000}")


def test_windows_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "cleanstart.toml"
    file.write_bytes(b"\xef\xbb\xbf" + b'[store]\r\nurl = "env:A"\r\nulr = 1\r\n')
    with pytest.raises(ConfigurationInvalid, match=r':3: store\.ulr: unknown key; did you mean "url"\?$'):
        load(file)


def test_environments_keep_the_order_of_the_file(tmp_path: Path) -> None:
    names = ["zeta", "alpha", "production", "beta"]
    text = PROJECT + "".join(ENVIRONMENT.replace("dev]", f"{name}]") for name in names)
    assert list(read(tmp_path, text).project("clinic").environments) == names


def test_secrets_are_read_late_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = read(tmp_path, PROJECT + ENVIRONMENT + '[store]\nurl = "file:store_url"\n')
    url, store = configuration.environment("clinic", "dev").url, configuration.store_url
    assert store is not None
    monkeypatch.delenv("CLINIC_DEV_URL", raising=False)
    where = f"{tmp_path}/cleanstart.toml:7: projects.clinic.environments.dev.url: "
    with pytest.raises(SecretUnavailable) as caught:
        url.read()
    assert str(caught.value) == where + "the environment variable CLINIC_DEV_URL is not set"
    with pytest.raises(
        SecretUnavailable, match=r":10: store\.url: the file .*/store_url cannot be read: No such"
    ):
        store.read()

    monkeypatch.setenv("CLINIC_DEV_URL", "postgresql://u:hunter2@h/d")
    (tmp_path / "store_url").write_text("postgresql://u:hunter2@h/store\n")
    assert url.read() == "postgresql://u:hunter2@h/d"
    assert store.read() == "postgresql://u:hunter2@h/store"
    assert "hunter2" not in repr(configuration) + str(url) + f"{store}"

    (tmp_path / "store_url").write_text(" \n")
    with pytest.raises(SecretUnavailable, match=r"is empty$"):
        store.read()
    (tmp_path / "store_url").write_bytes(b"hunter2\xff")
    with pytest.raises(SecretUnavailable, match=r"is not UTF-8 text$") as caught:
        store.read()
    assert caught.value.__cause__ is None


def test_a_secret_without_a_place_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(
        SecretUnavailable, match=r"^env:NOWHERE: the environment variable NOWHERE is not set$"
    ):
        Secret("env:NOWHERE").read()


def test_values_are_frozen(tmp_path: Path) -> None:
    configuration = read(tmp_path, PROJECT)
    with pytest.raises(AttributeError):
        configuration.public_url = "https://elsewhere"  # type: ignore[misc]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "localhost.example", "127.0.0.1.example", "10.0.0.1", ""])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_configuration_stands_on_errors_alone() -> None:
    program = dedent("""
        import sys, web.config
        print(*sorted(name for name in sys.modules if name.startswith("web.")))
    """)
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert loaded.split() == [
        "web.config",
        "web.config.document",
        "web.config.reading",
        "web.config.tool",
        "web.config.values",
        "web.errors",
    ]
