"""Where the store is: the configured server, or the embedded one under the data directory, with both of its roles."""

from __future__ import annotations

from dataclasses import dataclass

from web.config import Configuration, Secret
from web.errors import StoreNotReady
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import find_programs
from web.postgres.urls import parameters, read_url, sqlalchemy_url

DATABASE = "cleanstart"
OWNER = "cleanstart_owner"
RUNTIME = "cleanstart_runtime"


@dataclass(frozen=True, slots=True)
class StorePlace:
    """The store's URLs: the owner may upgrade it, the runtime role works in it."""

    owner_url: str
    runtime_url: str

    @property
    def runtime_role(self) -> str | None:
        """The role that gets its grants at an upgrade; None where both are one."""
        role = parameters(self.runtime_url).get("user")
        return None if role == parameters(self.owner_url).get("user") else role


def embedded_server(configuration: Configuration) -> EmbeddedServer:
    """The embedded server of this data directory; not started."""
    return EmbeddedServer(
        configuration.data_directory / "postgresql", programs=find_programs(configuration.programs)
    )


def configured_place(configuration: Configuration) -> StorePlace | None:
    """The store that the configuration names, with both secrets read; None: it is embedded."""
    if configuration.store_url is None:
        return None
    runtime = _store_url(configuration.store_url)
    owner = _store_url(configuration.store_owner_url) if configuration.store_owner_url else runtime
    return StorePlace(owner, runtime)


async def prepare_embedded(server: EmbeddedServer) -> StorePlace:
    """Make sure that the running embedded server has the store's roles and database."""
    await server.ensure_role(OWNER)
    await server.ensure_role(RUNTIME)
    await server.ensure_database(DATABASE, OWNER)
    return _embedded_place(server)


def running_url(configuration: Configuration) -> str:
    """The store's URL for a process that works in it: the runtime role's, and no secret of the owner is read.

    Raises:
        SecretUnavailable, ConfigurationInvalid: the URL cannot be read, or is none.
        StoreNotReady: the store is embedded and was never started here.
    """
    if configuration.store_url is not None:
        return _store_url(configuration.store_url)
    server = embedded_server(configuration)
    if not server.data_directory.exists():
        raise StoreNotReady(
            f"There is no store under {configuration.data_directory} yet.",
            hint="Start everything with `cleanstart up`, or name a store under [store].url.",
        )
    return _embedded_place(server).runtime_url


def _store_url(secret: Secret) -> str:
    """The URL as SQLAlchemy reads it: by itself it takes no connection string, and any scheme for PostgreSQL's."""
    return sqlalchemy_url(read_url(secret))


def _embedded_place(server: EmbeddedServer) -> StorePlace:
    return StorePlace(server.url(DATABASE, OWNER), server.url(DATABASE, RUNTIME))
