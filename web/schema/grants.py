"""Access lists (`aclitem[]` as text) into Grant values: only what differs from default privileges."""

from __future__ import annotations

import re
from collections.abc import Sequence

from web.schema.model import Grant
from web.schema.names import quote

PRIVILEGES = {
    "r": "SELECT",
    "a": "INSERT",
    "w": "UPDATE",
    "d": "DELETE",
    "D": "TRUNCATE",
    "x": "REFERENCES",
    "t": "TRIGGER",
    "m": "MAINTAIN",
    "X": "EXECUTE",
    "U": "USAGE",
    "C": "CREATE",
    "c": "CONNECT",
    "T": "TEMPORARY",
    "s": "SET",
    "A": "ALTER SYSTEM",
}
_ITEM = re.compile(r'((?:"(?:[^"]|"")*"|[^="])*)=((?:[a-zA-Z]\*?)*)/', re.DOTALL)
_PRIVILEGE = re.compile(r"([a-zA-Z])(\*?)")


class GrantReader:
    """Decodes access lists of one snapshot; equal lists, of which there are many, are decoded once."""

    def __init__(self) -> None:
        self._seen: dict[tuple[tuple[str, ...], tuple[str, ...], str | None], tuple[Grant, ...]] = {}

    def read(
        self, items: Sequence[str] | None, standard: Sequence[str] | None, owner: str | None
    ) -> tuple[Grant, ...]:
        """Give the grants that differ from the standard ones; NULL means that nothing was ever granted."""
        if items is None:
            return ()
        key = (tuple(items), tuple(standard or ()), owner)
        if (known := self._seen.get(key)) is not None:
            return known
        actual, default = _decode(key[0], owner), _decode(key[1], owner)
        grants = tuple(
            Grant(grantee, actual.get(grantee, ()))
            for grantee in sorted(actual.keys() | default.keys())
            if actual.get(grantee, ()) != default.get(grantee, ())
        )
        self._seen[key] = grants
        return grants


def _decode(items: Sequence[str], owner: str | None) -> dict[str, tuple[str, ...]]:
    """Collect privileges per grantee, whoever granted them: after a restore that may be somebody else."""
    found: dict[str, set[str]] = {}
    for item in items:
        match = _ITEM.match(item)
        if match is None:
            continue
        role, letters = match.groups()
        if role.startswith('"'):
            role = role[1:-1].replace('""', '"')
        grantee = "PUBLIC" if not role else "OWNER" if role == owner else quote(role)
        found.setdefault(grantee, set()).update(
            PRIVILEGES.get(letter, letter) + star for letter, star in _PRIVILEGE.findall(letters)
        )
    return {grantee: tuple(sorted(names)) for grantee, names in found.items() if names}
