"""Read cleanstart.toml into `values`: which keys there are, what each expects, which are not built yet."""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal, cast

from web.config.document import Table, dotted, read_document
from web.config.tool import AlembicSettings, Prelude, ToolSettings
from web.config.values import (
    APPROVALS_LAST,
    BackupPolicy,
    Backups,
    CleanStart,
    CleanStartPolicy,
    CodeLimits,
    Configuration,
    Environment,
    Network,
    Project,
    ResetPolicy,
    Secret,
    SmokePolicy,
    Tier,
)

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
NAME_RULE = (
    "a name is 1 to 63 of a-z, 0-9, - and _, beginning with a letter or a digit, because it is part of URLs"
)
SIZE = 'an amount of memory such as "512MB" or "4GB"'
REFERENCE = "a reference to a secret: env:NAME or file:PATH"
TIERS = ("development", "staging", "production")

PROJECT_LATER = {
    "branch": "sources in git; use a folder",
    "install": "sources in git; use a folder",
}
MODELS = 'module:attribute, such as "clinic.models:Base.metadata"'
FOLLOW = '"heads", BRANCH@head such as "main@head", or an array of these'
ROLE = "the name of a role of at most 63 bytes, such as clinic_app"
BACKUPS_LATER = {
    "keep": "retention, every backup is kept",
    "recipients": "encryption, backups are not encrypted",
    "identity": "encryption, backups are not encrypted",
}


def load(file: Path) -> Configuration:
    """Read the configuration; `ConfigurationInvalid` names file, line, key and what was expected."""
    document = read_document(file)
    folder = file.absolute().parent
    top = Table(
        document,
        (),
        document.values,
        keys=(
            "public_url",
            "trusted_proxies",
            "data_directory",
            "programs",
            "store",
            "scratch",
            "backups",
            "projects",
        ),
    )
    data_directory = _path(top, "data_directory", folder) or folder / ".cleanstart"
    store = top.table("store", keys=("url", "owner_url"))
    store_url, owner_url = _secret(store, "url", folder), _secret(store, "owner_url", folder)
    if owner_url and not store_url:
        raise store.error("owner_url", "only together with url; without url the store is embedded")
    scratch = _scratch(top.table("scratch"), folder)
    projects = top.table("projects")
    read = {name: _project(projects, name, folder) for name in projects.values}
    backups = _backups(top, folder, data_directory)
    secrets = [
        store_url,
        owner_url,
        *scratch.values(),
        *(each for one in read.values() for each in _secrets(one)),
    ]
    hidden = (data_directory, Path(backups.location), *_secret_files(secrets))
    return Configuration(
        file=file.absolute(),
        public_url=_public_url(top),
        trusted_proxies=_trusted_proxies(top),
        data_directory=data_directory,
        store_url=store_url,
        store_owner_url=owner_url,
        scratch=scratch,
        programs=tuple(
            _under(top, "programs", folder, path) for path in top.texts("programs", "an array of folders")
        ),
        backups=backups,
        lines={dotted(path): line for path, line in document.lines.items()},
        projects={name: replace(project, hidden=hidden) for name, project in read.items()},
    )


def _secrets(project: Project) -> Iterator[str | Secret]:
    yield from project.env.values()
    yield from (environment.url for environment in project.environments.values())


def _secret_files(values: Iterable[object]) -> tuple[Path, ...]:
    """The files that hold secrets; what a project's code must never find, wherever they lie."""
    names = {each.reference.removeprefix("file:") for each in values if isinstance(each, Secret)}
    return tuple(sorted(Path(name) for name in names if name.startswith("/")))


def _public_url(top: Table) -> str | None:
    url = top.text("public_url", "a URL such as https://db.acme.internal")
    if url is None:
        return None
    expected = "expected https://HOST or https://HOST:PORT"
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise top.error("public_url", expected) from None
    if parts.username or parts.password:
        raise top.error("public_url", f"{expected}, without a user name or a password")
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\\]", url):
        raise top.error("public_url", expected)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise top.error("public_url", f"{expected}, without a path: the dashboard is served at the root")
    if parts.scheme == "http" and not is_loopback(host):
        raise top.error("public_url", "plain http only on loopback; expected https://, or http://localhost")
    name = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{name}" + (f":{port}" if port and port != usual else "")


def _trusted_proxies(top: Table) -> tuple[Network, ...]:
    expected = 'an array of addresses and networks, such as ["10.0.0.5", "192.168.0.0/24"]'
    networks: list[Network] = []
    for number, text in enumerate(top.texts("trusted_proxies", expected), start=1):
        try:
            network = ipaddress.ip_network(text.strip())
        except ValueError:
            raise top.error("trusted_proxies", f"expected {expected}; entry {number} is neither") from None
        if network.prefixlen == 0:
            raise top.error(
                "trusted_proxies", f"entry {number} is every address: anybody could say to be anywhere"
            )
        networks.append(network)
    return tuple(networks)


def is_loopback(host: str) -> bool:
    """Whether the host is this machine and nothing else: localhost, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _scratch(table: Table, folder: Path) -> dict[int, Secret | Literal["embedded"]]:
    servers: dict[int, Secret | Literal["embedded"]] = {}
    for key in table.values:
        if not re.fullmatch(r"[1-9][0-9]", key):
            raise table.error(key, "unknown key; expected a major version of PostgreSQL, such as 17")
        if table.text(key, f'"embedded", or {REFERENCE}') == "embedded":
            servers[int(key)] = "embedded"
        else:
            servers[int(key)] = _needed_secret(table, key, folder, f'"embedded", or {REFERENCE}')
    return servers


def _backups(top: Table, folder: Path, data_directory: Path) -> Backups:
    table = top.table("backups", keys=("location",), later=BACKUPS_LATER)
    location = table.text("location", "a folder")
    if location is not None and "://" in location:
        raise table.error("location", "not yet: object stores; expected a folder")
    return Backups(
        location=str(_under(table, "location", folder, location) if location else data_directory / "backups")
    )


def _project(projects: Table, name: str, folder: Path) -> Project:
    if not NAME.fullmatch(name):
        raise projects.error(name, f"{NAME_RULE}; a title may hold anything")
    table = projects.table(
        name,
        keys=(
            "title", "source", "keeps", "environments", "env", "readable", "without_wall", "limits", "follow",
            "clean_start", *TOOLS,
        ),
        later=PROJECT_LATER,
    )  # fmt: skip
    if isinstance(table.values.get("source"), dict):
        raise table.not_yet("source", PROJECT_LATER["branch"])
    written = table.needed_text("source", "the folder of the project")
    if "://" in written or re.match(r"[\w.-]+@[\w.-]+:", written):
        raise table.error("source", "not yet: sources in git; expected the folder of the project")
    source = _under(table, "source", folder, written)
    environments = table.table("environments")
    follow = _follow(table)
    return Project(
        name=name,
        title=table.text("title") or name,
        source=source,
        keeps=table.texts("keeps", "an array of text"),
        env=_env(table.table("env"), folder),
        readable=tuple(
            _under(table, "readable", folder, path)
            for path in table.texts("readable", "an array of files and folders")
        ),
        without_wall=table.flag("without_wall"),
        follow=follow,
        limits=_limits(table.table("limits", keys=("memory", "processes"))),
        clean_start=CleanStart(write=table.table("clean_start", keys=("write",)).flag("write")),
        tool=_tool(projects, name, table, source),
        environments={
            environment: _environment(environments, name, environment, source, folder, follow)
            for environment in environments.values
        },
    )


def _env(table: Table, folder: Path) -> dict[str, str | Secret]:
    """Variables for the project's code: text as it stands, or a reference to a secret."""
    found: dict[str, str | Secret] = {}
    for name in table.values:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise table.error(name, "expected the name of an environment variable, such as APP_MODE")
        if name.startswith("CLEANSTART_"):
            raise table.error(name, "variables of this name are Clean Start's own")
        value = table.values[name]
        if not isinstance(value, str):
            raise table.wrong_type((name,), f"text, or {REFERENCE}", value)
        if "\0" in value:
            raise table.error(name, "expected text without a NUL character")
        reference = re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.*\S.*", value)
        found[name] = _needed_secret(table, name, folder, REFERENCE) if reference else value
    return found


def _limits(table: Table) -> CodeLimits:
    usual = CodeLimits()
    memory = table.text("memory", SIZE)
    size = re.fullmatch(r"([1-9][0-9]{0,5})(MB|GB)", memory) if memory is not None else None
    if memory is not None and size is None:
        raise table.error("memory", f"expected {SIZE}")
    return CodeLimits(
        memory=int(size[1]) << {"MB": 20, "GB": 30}[size[2]] if size else usual.memory,
        processes=table.count("processes") or usual.processes,
    )


def _tool(projects: Table, name: str, project: Table, source: Path) -> ToolSettings:
    """The settings of the one migration tool that the project has."""
    given = [tool for tool in TOOLS if tool in project]
    if not given:
        usual = AlembicSettings
        raise project.missing(usual.name, f"a table that says how the project's {usual.title} is run")
    if len(given) > 1:
        raise projects.error(name, f"expected one migration tool, found {' and '.join(given)}")
    return TOOLS[given[0]](project, source)


def _alembic(project: Table, source: Path) -> AlembicSettings:
    table = project.table(
        "alembic",
        keys=(
            "config", "section", "cwd", "version_table", "version_table_schema", "python", "url_variable",
            "url_driver", "x_arguments", "models", "prelude", "commands", "time_limit",
        ),
    )  # fmt: skip
    url_variable = table.text("url_variable")
    if url_variable and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", url_variable):
        raise table.error(
            "url_variable", "expected the name of an environment variable, such as DATABASE_URL"
        )
    url_driver = table.text("url_driver")
    if url_driver and not re.fullmatch(r"postgres(ql)?(\+[a-z][a-z0-9_]*)?", url_driver):
        raise table.error("url_driver", "expected a dialect and driver, such as postgresql+asyncpg")
    x_arguments = table.texts("x_arguments", 'an array of names, such as ["url"]')
    if any(not re.fullmatch(r"[A-Za-z_][\w.-]*", name) for name in x_arguments):
        raise table.error("x_arguments", 'expected an array of names, such as ["url"], without values')
    return AlembicSettings(
        config=_needed_path(table, "config", source, "alembic.ini or pyproject.toml, within the source"),
        python=_needed_path(table, "python", source, "the project's own interpreter"),
        section=table.text("section") or "alembic",
        cwd=_path(table, "cwd", source),
        version_table=table.text("version_table"),
        version_table_schema=table.text("version_table_schema"),
        url_variable=url_variable,
        url_driver=url_driver,
        models=_models(table),
        prelude=_prelude(table, source),
        commands=_commands(table),
        x_arguments=x_arguments,
        time_limit=table.duration("time_limit") or timedelta(hours=1),
    )


def _models(alembic: Table) -> tuple[str, ...]:
    if "models" not in alembic:
        return ()
    several = isinstance(alembic.values["models"], list)
    entries = alembic.texts("models", MODELS) if several else (alembic.needed_text("models", MODELS),)
    name = r"[^\W\d]\w*(\.[^\W\d]\w*)*"
    for entry in entries:
        if not re.fullmatch(rf"{name}(:{name})?", entry):
            raise alembic.error("models", f"expected {MODELS}")
    if not any(":" in entry for entry in entries):
        raise alembic.error("models", f"expected {MODELS}; a module alone is imported and gives no tables")
    return entries


def _commands(alembic: Table) -> dict[str, tuple[str, ...]]:
    table = alembic.table("commands", keys=("upgrade", "downgrade", "stamp", "history"))
    found = {name: command for name in table.values if (command := table.command(name))}
    if "downgrade" in found and not any("{revision}" in part for part in found["downgrade"]):
        raise table.error("downgrade", "expected {revision} where the command takes it")
    return found


def _prelude(alembic: Table, source: Path) -> Prelude | None:
    if "prelude" not in alembic:
        return None
    table = alembic.table("prelude", keys=("sql", "command"))
    sql, command = _path(table, "sql", source), table.command("command")
    if (sql is None) == (command is None):
        raise alembic.error("prelude", "expected either sql (a file) or command (an array of text)")
    return Prelude(sql=sql, command=command)


def _follow(table: Table) -> tuple[str, ...]:
    """Which heads of a history are meant."""
    if "follow" not in table:
        return ()
    several = isinstance(table.values["follow"], list)
    entries = table.texts("follow", FOLLOW) if several else (table.needed_text("follow", FOLLOW),)
    if not entries or any(not re.fullmatch(r"heads|[\w.+:-]+@head", each) for each in entries):
        raise table.error("follow", f"expected {FOLLOW}")
    return entries


def _environment(
    environments: Table, project: str, name: str, source: Path, folder: Path, follow: tuple[str, ...]
) -> Environment:
    if not NAME.fullmatch(name):
        raise environments.error(name, NAME_RULE)
    table = environments.table(
        name,
        keys=(
            "url",
            "tier",
            "approvals",
            "approvals_last",
            "follow",
            "reset",
            "backup",
            "smoke",
            "clean_start",
            "application_role",
        ),
    )
    url = _needed_secret(table, "url", folder, REFERENCE)
    tier = cast(Tier, table.choice("tier", TIERS))
    return Environment(
        project=project,
        name=name,
        url=url,
        tier=tier,
        approvals=table.count("approvals") or 0,
        approvals_last=table.duration("approvals_last") or APPROVALS_LAST,
        follow=_follow(table) or follow,
        reset=_reset(table, tier, source),
        backup=_backup(table),
        smoke=_smoke(table),
        clean_start=CleanStartPolicy(
            without_backup=table.table("clean_start", keys=("without_backup",)).flag("without_backup")
        ),
        application_role=_role(table),
    )


def _role(environment: Table) -> str | None:
    role = environment.text("application_role", ROLE)
    # PostgreSQL would cut a longer name, and find another role.
    if role is not None and (not 0 < len(role.encode()) <= 63 or "\0" in role):
        raise environment.error("application_role", f"expected {ROLE}")
    return role


def _reset(environment: Table, tier: Tier, source: Path) -> ResetPolicy | None:
    if "reset" not in environment:
        return None
    table = environment.table("reset", keys=("seed", "script", "spare"))
    if tier == "production":
        raise environment.error("reset", "an environment of tier production is never reset; remove this key")
    if table.flag("spare"):
        raise table.not_yet("spare", "spare databases, a reset is done in place")
    return ResetPolicy(seed=_path(table, "seed", source), script=_path(table, "script", source))


def _backup(environment: Table) -> BackupPolicy:
    table = environment.table("backup", keys=("verify", "max_age"), later={"schedule": "scheduled backups"})
    if table.flag("verify"):
        raise table.not_yet("verify", "verifying by itself, start Verify by hand")
    return BackupPolicy(max_age=table.duration("max_age") or BackupPolicy().max_age)


def _smoke(environment: Table) -> SmokePolicy | None:
    if "smoke" not in environment:
        return None
    table = environment.table("smoke", keys=("url", "expect"))
    expected = "a URL such as https://clinic.example/healthz"
    url = table.needed_text("url", expected)
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise table.error("url", f"expected {expected}") from None
    if parts.username is not None or parts.password is not None:
        raise table.error("url", f"expected {expected}, without a user name or a password")
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\\\x00-\x1f\x7f]", url):
        raise table.error("url", f"expected {expected}")
    expect = table.count("expect") if "expect" in table else 200
    if not 100 <= expect <= 599:
        raise table.error("expect", "expected a status from 100 to 599, such as 200")
    return SmokePolicy(url, expect)


def _secret(table: Table, key: str, folder: Path) -> Secret | None:
    return _needed_secret(table, key, folder, REFERENCE) if key in table else None


def _needed_secret(table: Table, key: str, folder: Path, expected: str) -> Secret:
    text = table.needed_text(key, expected)
    scheme, _, name = text.partition(":")
    path = (*table.path, key)
    place = (str(table.document.file), table.document.line_of(path), ".".join(path))
    if scheme == "env" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        return Secret(text, place)
    if scheme == "file" and name.strip():
        return Secret(f"file:{_under(table, key, folder, name)}", place)
    if "://" in text:
        raise table.error(key, f"secrets only by reference: expected {expected}, found a URL")
    raise table.error(key, f"expected {expected}")


def _path(table: Table, key: str, folder: Path, expected: str = "a path") -> Path | None:
    text = table.text(key, expected)
    return None if text is None else _under(table, key, folder, text)


def _needed_path(table: Table, key: str, folder: Path, expected: str) -> Path:
    return _under(table, key, folder, table.needed_text(key, expected))


def _under(table: Table, key: str, folder: Path, path: str) -> Path:
    # Never resolved: the interpreter of a virtual environment is a link, and finds its packages beside it.
    try:
        return (folder / Path(path).expanduser()).absolute()
    except RuntimeError:
        raise table.error(
            key, "expected a path; the home directory before the first / is not known"
        ) from None


#: How the table of each migration tool is read, by its name.
TOOLS: dict[str, Callable[[Table, Path], ToolSettings]] = {AlembicSettings.name: _alembic}
