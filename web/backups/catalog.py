"""Backups at a place: three keys each, of which the manifest is written last and removed first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from web.backups.manifest import LARGEST, Manifest, as_written, from_json, from_store, to_json
from web.backups.places import Place, read_whole
from web.config import Environment
from web.errors import BackupInvalid


@dataclass(frozen=True, slots=True)
class Keys:
    """Where the parts of one backup lie."""

    dump: str
    schema: str
    manifest: str


def keys_of(project: str, environment: str, backup_id: UUID) -> Keys:
    """Return the keys of a backup. Nothing that a person types is in them."""
    stem = f"{folder_of(project, environment)}/{backup_id}"
    return Keys(f"{stem}.dump", f"{stem}.schema.json", f"{stem}.manifest.json")


def dump_of(location: str, environment: Environment, backup_id: str) -> str:
    """Return where the dump of a backup lies, for whoever restores it by hand."""
    return f"{location}/{keys_of(environment.project, environment.name, UUID(backup_id)).dump}"


def folder_of(project: str, environment: str) -> str:
    """Return the prefix of an environment's backups."""
    return f"{project}/{environment}"


async def write_manifest(place: Place, manifest: Manifest) -> None:
    """Make the backup visible: from here on it exists."""
    async with place.write(keys_of(manifest.project, manifest.environment, manifest.id).manifest) as writer:
        await writer.write(to_json(manifest))


async def read_manifest(place: Place, project: str, environment: str, backup_id: UUID) -> Manifest:
    """Read a manifest that the store has no copy of yet. Raises BackupInvalid: missing, altered, another backup's.

    Where the store has one, `require_same_manifest` is what reads it.
    """
    key = keys_of(project, environment, backup_id).manifest
    manifest = from_json(await read_whole(place, key, LARGEST))
    if (manifest.project, manifest.environment, manifest.id) != (project, environment, backup_id):
        raise BackupInvalid(
            f"{key} is the manifest of another backup, {manifest.id} "
            f"of {manifest.project}/{manifest.environment}."
        )
    return manifest


async def require_same_manifest(place: Place, stored: Mapping[str, Any]) -> Manifest:
    """Give the manifest as the store keeps it, once the one beside the backup was found to be the same, to the byte.

    Raises BackupInvalid where it is not, BackupOfAnotherVersion.
    """
    manifest = from_store(stored)
    key = keys_of(manifest.project, manifest.environment, manifest.id).manifest
    if await read_whole(place, key, LARGEST) != as_written(stored):
        raise BackupInvalid(
            f"The manifest beside the backup is not the one that was stored when it was made: {key} was altered."
        )
    return manifest


async def list_backups(place: Place, project: str, environment: str) -> tuple[UUID, ...]:
    """List the ids of the environment's backups, those that are visible."""
    keys = await place.keys(folder_of(project, environment))
    return tuple(UUID(_stem(key)) for key in keys if key.endswith(".manifest.json"))


async def remove_backup(place: Place, project: str, environment: str, backup_id: UUID) -> None:
    """Remove a backup; interrupted, it leaves no visible backup, and `sweep` finds the rest."""
    keys = keys_of(project, environment, backup_id)
    for key in (keys.manifest, keys.schema, keys.dump):
        await place.remove(key)


async def sweep(place: Place, project: str, environment: str) -> int:
    """Remove what backups that came to no end left behind, and say how many files it was.

    To be called while nothing else makes a backup of this environment: parts without a manifest go.
    """
    folder = folder_of(project, environment)
    keys = await place.keys(folder)
    whole = {_stem(key) for key in keys if key.endswith(".manifest.json")}
    orphans = [key for key in keys if _stem(key) not in whole]
    for key in orphans:
        await place.remove(key)
    return len(orphans) + await place.sweep(folder)


def _stem(key: str) -> str:
    return key.rpartition("/")[2].partition(".")[0]
