"""What a backup says about itself: a versioned value that carries its own digest.

The manifest makes a backup: without one, what lies at a place is no backup. Where it lies is `catalog`'s. Its digest
finds accidents; against whoever edits it and makes the digest anew, there is the store's copy, which is the truth.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from web.errors import BackupInvalid, BackupOfAnotherVersion
from web.postgres.identity import TargetIdentity

#: The format that this version writes, and the only one it reads.
FORMAT = 1
#: No manifest is larger, not with a hundred thousand tables.
LARGEST = 64 << 20

Digest = Annotated[str, StringConstraints(pattern=re.compile(r"^[0-9a-f]{64}$"))]
Count = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    """A file of the backup, as it has to be when it is read again."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: Count
    sha256: Digest


class TableRows(BaseModel):
    """How many rows a table had, in the snapshot that was dumped."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_name: str
    table: str
    rows: Count


class UsedExtension(BaseModel):
    """An extension that has to be available where the backup is restored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    version: str


class Manifest(BaseModel):
    """A backup: of what, made how, and what a restore has to give."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1] = 1
    id: UUID
    project: str
    environment: str
    database: str
    #: The target's identity when it was dumped: system identifier/oid.
    identity: str
    #: As `server_version_num`.
    server_version: int
    #: Of pg_dump.
    client_version: str
    #: Version rows of the migration tool; None: it has no version table there.
    revisions: tuple[str, ...] | None
    #: Of the schema part.
    fingerprint: Digest
    dump: Part
    dump_schema: Part
    compression: str
    encrypted: Literal[False] = False
    tables: tuple[TableRows, ...]
    #: Roles that own something or that a privilege or policy names.
    roles: tuple[str, ...]
    extensions: tuple[UsedExtension, ...]
    created_at: AwareDatetime
    finished_at: AwareDatetime

    @property
    def server_major(self) -> int:
        return self.server_version // 10_000

    @property
    def client_major(self) -> int:
        return int(self.client_version.partition(".")[0])

    @property
    def rows(self) -> int:
        """All rows together."""
        return sum(table.rows for table in self.tables)

    @property
    def size(self) -> int:
        """Bytes that the backup takes at its place, the manifest aside."""
        return self.dump.size + self.dump_schema.size

    @property
    def target(self) -> TargetIdentity:
        return TargetIdentity.from_text(self.identity)

    @property
    def seconds(self) -> float:
        """How long it took to make."""
        return (self.finished_at - self.created_at).total_seconds()


def to_json(manifest: Manifest) -> bytes:
    """Write a manifest: equal manifests give equal bytes, and `digest` is over all the rest."""
    return as_written(to_store(manifest))


def to_store(manifest: Manifest) -> dict[str, Any]:
    """Give the copy of a manifest that the store keeps, all of it."""
    return manifest.model_dump(mode="json")


def as_written(stored: Mapping[str, Any]) -> bytes:
    """Write what lies beside a backup whose manifest the store keeps, to the byte."""
    content = dict(stored)
    return _canonical({**content, "digest": _digest(content)})


def from_store(stored: Mapping[str, Any]) -> Manifest:
    """Read the store's copy. Raises BackupInvalid where it holds none, BackupOfAnotherVersion."""
    if "format" not in stored:
        raise BackupInvalid(
            "The store has no manifest of this backup, so there is nothing to hold it against."
        )
    _require_format(stored)
    return _read(dict(stored))


def from_json(data: bytes) -> Manifest:
    """Read what `to_json` wrote. Raises BackupInvalid for anything torn, altered or of another format."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BackupInvalid("The backup's manifest cannot be read: it is torn or not a manifest.") from error
    if not isinstance(content, dict):
        raise BackupInvalid("The backup's manifest is not a manifest.")
    _require_format(content)
    digest = content.pop("digest", None)
    if digest != _digest(content):
        raise BackupInvalid("The backup's manifest was altered: its digest does not fit.")
    return _read(content)


def _require_format(content: Mapping[str, Any]) -> None:
    if content.get("format") != FORMAT:
        raise BackupOfAnotherVersion("The backup's manifest has a format that this version does not know.")


def _read(content: dict[str, Any]) -> Manifest:
    try:
        # JSON has no tuples, no ids and no times: validated in pydantic's mode for JSON.
        return Manifest.model_validate_json(_canonical(content))
    except ValidationError as error:
        places = ", ".join(sorted({".".join(map(str, one["loc"])) for one in error.errors()}))
        raise BackupInvalid(f"The backup's manifest cannot be read: {places}.") from None


def _canonical(content: object) -> bytes:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def _digest(content: object) -> str:
    return sha256(_canonical(content)).hexdigest()
