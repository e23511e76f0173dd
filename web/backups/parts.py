"""The parts of a backup, read to their end and held against what the manifest says of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from hashlib import sha256
from typing import Any

from web.backups.catalog import keys_of, require_same_manifest
from web.backups.manifest import Manifest, Part
from web.backups.places import Place
from web.backups.reporting import Report
from web.errors import BackupInvalid, PlaceFull


async def open_backup(place: Place, stored: Mapping[str, Any], report: Report) -> Manifest:
    """Read all of a backup: the manifest against the store's copy, size and digest of every part.

    To be done right before the act that leans on it. Files that are replaced after this are not seen: who holds a
    place can always do that, and what is left is the time between this and the act.

    Raises BackupInvalid for what is torn, altered, missing or no file; PlaceUnavailable, which says nothing about the
    backup; BackupOfAnotherVersion.
    """
    manifest = await require_same_manifest(place, stored)
    keys = keys_of(manifest.project, manifest.environment, manifest.id)
    before = 0

    async def tell(size: int) -> None:
        await report.at(before + size, manifest.size, "bytes")

    for key, part in ((keys.schema, manifest.dump_schema), (keys.dump, manifest.dump)):
        await check_part(place, key, part, tell=tell)
        before += part.size
    return manifest


async def check_part(
    place: Place,
    key: str,
    expected: Part,
    *,
    copy: int | None = None,
    tell: Callable[[int], Awaitable[None]] | None = None,
) -> None:
    """Read a part to its end and compare; what was read is written to the descriptor `copy`, where given.

    `tell` is told how many bytes were read so far. Raises BackupInvalid, PlaceUnavailable, PlaceFull for the copy.
    """
    size, digest = 0, sha256()
    async with aclosing(place.read(key)) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            if size > expected.size:
                break
            await asyncio.to_thread(digest.update, chunk)
            if copy is not None:
                await _append(copy, chunk)
            if tell is not None:
                await tell(size)
    if size != expected.size:
        found = f"more than {expected.size}" if size > expected.size else str(size)
        raise BackupInvalid(f"{key} has {found} bytes, {expected.size} were written.")
    if digest.hexdigest() != expected.sha256:
        raise BackupInvalid(f"{key} is not what was written: its digest does not fit.")


async def _append(descriptor: int, chunk: bytes) -> None:
    try:
        rest = memoryview(chunk)
        while rest:
            rest = rest[await asyncio.to_thread(os.write, descriptor, rest) :]
    except OSError as error:
        raise PlaceFull(f"There is no room to bring the dump here: {error.strerror}.") from error
