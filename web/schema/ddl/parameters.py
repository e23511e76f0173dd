"""ALTER DATABASE … SET, and ALTER ROLE … IN DATABASE … SET."""

from __future__ import annotations

from web.schema.ddl.statement import Ground, Statement, literal
from web.schema.model import Setting
from web.schema.names import quote

#: Parameters whose value is a list that the server keeps already quoted (GUC_LIST_QUOTE, as pg_dump has them).
_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)


def setting_head(item: Setting, ground: Ground) -> str:
    """Write ALTER DATABASE or ALTER ROLE … IN DATABASE."""
    database = quote(ground.database)
    if item.role:
        return f"ALTER ROLE {quote(item.role)} IN DATABASE {database}"
    return f"ALTER DATABASE {database}"


def set_parameter(item: Setting, ground: Ground) -> Statement:
    """Write a setting."""
    value = item.value if item.name in _LISTS else literal(item.value)
    return Statement(f"{setting_head(item, ground)} SET {quote(item.name)} TO {value}")
