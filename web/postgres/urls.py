"""Database URLs in their three forms: what people write, what libpq reads, what SQLAlchemy reads.

libpq's own parser decides what a URL means. Nothing here connects, and no error repeats the URL it is about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from web.config import Secret
from web.errors import Invalid

_SCHEME = re.compile(r"^(?:postgresql|postgres)(\+[a-z0-9_]+)?://", re.IGNORECASE)
_QUERY_SSL = re.compile(r"(?<=[?&])ssl=")
#: What leads to a secret in the name of a database, where a whole connection string was put into it.
_SECRET_IN_NAME = re.compile(
    r"(?:password|passwd|passfile|passphrase|pwd|secret|client_key)\s*=", re.IGNORECASE
)
#: What may be a login there. Databases are really called so, so it is only taken out of what is shown.
_LOGIN_IN_NAME = re.compile(r":[^@]+@")
#: The server cuts longer names, in bytes, and repeats them like that.
_LONGEST_NAME = 63
_PORT = "5432"
#: Where drivers look for a socket when no host is named.
_SOCKET_FOLDERS = ("/var/run/postgresql", "/run/postgresql", "/tmp")  # noqa: S108
_FILES = ("sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir", "passfile")
_PORTS = re.compile(r"^[0-9]*(?:,[0-9]*)*$")
#: Parameters that hold a secret; they reach neither pages nor argv.
SECRET_PARAMETERS = frozenset({"password", "sslpassword", "scram_client_key", "oauth_client_secret"})
#: Names that every SQLAlchemy reads back unchanged from a URL's path (2.0 and older do not unquote there).
_PLAIN_NAME = re.compile(r"^[A-Za-z0-9_.~-]+$")
_WANTED = "Write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE."


def parameters(url: str) -> dict[str, str]:
    """Parse a libpq URL or connection string, or a SQLAlchemy URL (`postgresql+…`).

    asyncpg's `ssl=` is taken as `sslmode=`. Raises Invalid, without repeating anything of a text that may
    hold a secret; also for a secret in the database's name, which the server would repeat in its errors.
    """
    text = url.lstrip().rstrip("\r\n\t")
    scheme = _SCHEME.match(text)
    if scheme is None and "://" in text.partition("=")[0]:
        raise Invalid("This is not a PostgreSQL URL: it must begin with postgresql://.", hint=_WANTED)
    try:
        if "\0" in text:
            raise ValueError
        if scheme is None:
            parsed = conninfo_to_dict(text)
        elif scheme[1]:
            parsed = conninfo_to_dict("", **_of_sqlalchemy(text))
        else:
            parsed = conninfo_to_dict("postgresql://" + _QUERY_SSL.sub("sslmode=", text[scheme.end() :]))
    except (psycopg.Error, ArgumentError, ValueError):
        # Their messages quote the part that could not be read, which may be the password.
        unreadable = True
    else:
        # libpq ends a password at its first @: what follows would be a host, which is shown.
        hosts = str(parsed.get("host", "")).split(",")
        unreadable = not _PORTS.match(str(parsed.get("port", ""))) or any(
            "@" in each[1:] and not each.startswith("/") for each in hosts
        )
    if unreadable:
        raise Invalid(
            "The database URL cannot be read.",
            hint=f"{_WANTED} Percent-encode special characters in it, and use libpq's parameter names.",
        )
    if _SECRET_IN_NAME.search(str(parsed.get("dbname") or "")):
        raise Invalid(
            "The name of the database in the URL looks as if it held a password.",
            hint="Write postgresql://USER:PASSWORD@HOST/DATABASE, with special characters percent-encoded.",
        )
    return {key: str(value) for key, value in parsed.items() if value is not None}


def read_url(secret: Secret) -> str:
    """Read a secret that is a database's URL.

    Raises:
        SecretUnavailable: it cannot be read.
        ConfigurationInvalid: it is no URL of a PostgreSQL database; names the key, and not the value.
    """
    url = secret.read()
    try:
        parameters(url)
    except Invalid as error:
        raise secret.unusable(str(error), error.hint) from None
    return url


def conninfo(url: str) -> str:
    """Return the plain libpq URL of any URL that `parameters` reads."""
    return libpq_url(parameters(url))


def libpq_url(values: Mapping[str, str]) -> str:
    """Write libpq parameters as one URL; hosts and everything else that is not plain go into the query."""
    rest = dict(values)
    user, password, database = rest.pop("user", None), rest.pop("password", None), rest.pop("dbname", None)
    login = "" if user is None else _quoted(user)
    if password is not None:
        login += ":" + _quoted(password)
    host, port = rest.get("host"), rest.get("port")
    where = ""
    if host is not None and re.fullmatch(r"[A-Za-z0-9_.-]+", host) and (port is None or port.isdigit()):
        where = host + (f":{port}" if port else "")
        rest.pop("host")
        rest.pop("port", None)
    path = "" if database is None else "/" + _quoted(database)
    query = "&".join(f"{key}={_quoted(value)}" for key, value in rest.items())
    if query:
        path = (path or "/") + "?" + query
    return f"postgresql://{login}{'@' if login else ''}{where}{path}"


def redacted(url: str) -> str:
    """Return the URL as pages may show it: user, host, port and database, never a secret."""
    try:
        values = parameters(url)
    except Invalid:
        return "postgresql://…"
    if "dbname" in values:
        values["dbname"] = _LOGIN_IN_NAME.sub(":***@", values["dbname"])
    shown = {"user", "host", "hostaddr", "port", "dbname"}
    return libpq_url({key: value for key, value in values.items() if key in shown})


def database_name(url: str) -> str:
    """Return the name of the database that the URL leads to (libpq's default is the user's name)."""
    values = parameters(url)
    return values.get("dbname") or values.get("user", "")


def with_database(url: str, database: str) -> str:
    """Return the same URL for another database of the server, whatever characters its name has."""
    return libpq_url({**parameters(url), "dbname": database})


def secrets_of(url: str) -> tuple[str, ...]:
    """Return the secret values in the URL, for taking them out of foreign text."""
    values = parameters(url)
    secrets = tuple(value for key, value in values.items() if key in SECRET_PARAMETERS and value)
    return secrets + _login_in(values.get("dbname", ""))


def sockets_of(url: str) -> tuple[Path, ...]:
    """Return the Unix sockets through which the URL leads to a server; none where it names hosts."""
    values = parameters(url)
    if "hostaddr" in values:
        return ()
    hosts = [host for host in values.get("host", "").split(",") if host] or list(_SOCKET_FOLDERS)
    ports = [port or _PORT for port in values.get("port", "").split(",")] or [_PORT]
    pairs = zip(hosts, ports if len(ports) == len(hosts) else ports[:1] * len(hosts), strict=True)
    return tuple(Path(host) / f".s.PGSQL.{port}" for host, port in pairs if host.startswith("/"))


def files_of(url: str) -> tuple[Path, ...]:
    """Return the files that the URL names: certificates and keys."""
    values = parameters(url)
    return tuple(Path(values[key]) for key in _FILES if values.get(key, "").startswith("/"))


def sqlalchemy_url(url: str, driver: str = "postgresql+psycopg") -> str:
    """Return the URL in SQLAlchemy's form for a driver (`postgresql+asyncpg`); it holds the password.

    Drivers other than psycopg's take no libpq parameters: of those only the host, the port and the TLS mode
    travel; certificates reach them through the PGSSL… variables of `libpq_environment`.
    """
    values = parameters(url)
    libpq = driver.partition("+")[2] in ("", "psycopg", "psycopg2", "psycopg_async")
    query: dict[str, str] = {}
    host, port, database = values.pop("host", None), values.pop("port", None), values.pop("dbname", None)
    user, password = values.pop("user", None), values.pop("password", None)
    if (host is not None and (host.startswith(("/", "@")) or "," in host)) or (port and "," in port):
        if host is not None:
            query["host"] = host
        if port is not None:
            query["port"] = port
        host = port = None
    if database is not None and not _PLAIN_NAME.match(database):
        query["dbname" if libpq else "database"] = database
        database = None
    if libpq:
        query.update(values)
    elif "sslmode" in values:
        query["ssl"] = values["sslmode"]
    return URL.create(
        driver,
        username=user,
        password=password,
        host=host,
        port=int(port) if port else None,
        database=database,
        query=query,
    ).render_as_string(hide_password=False)


def libpq_environment(url: str) -> dict[str, str]:
    """Return the PG… variables that lead a libpq program to the URL; the password is in PGPASSWORD.

    Raises Invalid for a client key with a passphrase, for which libpq has no variable.
    """
    values = parameters(url)
    if "sslpassword" in values:
        raise Invalid(
            "A client key with a passphrase (sslpassword) cannot be handed to PostgreSQL's programs."
        )
    variables = {
        option.keyword.decode(): option.envvar.decode()
        for option in pq.Conninfo.get_defaults()
        if option.envvar
    }
    return {variables[key]: value for key, value in values.items() if key in variables}


def database_argument(url: str) -> str:
    """Return the database as a quoted `dbname='…'`: libpq would expand a bare name like `host=elsewhere`."""
    return make_conninfo("", dbname=database_name(url))


def _login_in(name: str) -> tuple[str, ...]:
    """What may be a login in a database's name, whole and as the server cuts it off."""
    found = _LOGIN_IN_NAME.search(name)
    if found is None:
        return ()
    cut = name.encode()[:_LONGEST_NAME].decode(errors="ignore")[found.start() :]
    return (found[0], cut) if 1 < len(cut) < len(found[0]) else (found[0],)


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _of_sqlalchemy(text: str) -> dict[str, str]:
    url = make_url(text)
    named = {
        "user": url.username,
        "password": url.password,
        "host": url.host,
        "port": url.port,
        "dbname": url.database,
    }
    query = {
        {"ssl": "sslmode", "database": "dbname"}.get(key, key): value
        if isinstance(value, str)
        else ",".join(value)
        for key, value in url.query.items()
    }
    return {**{key: str(value) for key, value in named.items() if value not in (None, "")}, **query}
