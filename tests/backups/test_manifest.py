"""Manifests: canonical, and refused when anything in them is not as it was written."""

from __future__ import annotations

import json
import random
import uuid
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from web.backups.manifest import Manifest, Part, TableRows, UsedExtension, from_json, to_json
from web.errors import BackupInvalid


def make(**changes: object) -> Manifest:
    values: dict[str, object] = {
        "id": uuid.UUID(int=7),
        "project": "clinic",
        "environment": "dev",
        "database": 'a "name" <b> 🦄\nwith all',
        "identity": "7412093380517412093/16384",
        "server_version": 170004,
        "client_version": "17.11",
        "revisions": ("1c7f5e8d2a46",),
        "fingerprint": "a" * 64,
        "dump": Part(size=10, sha256="b" * 64),
        "dump_schema": Part(size=11, sha256="c" * 64),
        "compression": "zstd:1",
        "tables": (TableRows(schema_name="public", table="t", rows=3),),
        "roles": ("clinic_app",),
        "extensions": (UsedExtension(name="citext", version="1.6"),),
        "created_at": datetime(2026, 11, 22, 10, 0, tzinfo=UTC),
        "finished_at": datetime(2026, 11, 22, 10, 0, 5, tzinfo=UTC),
    }
    return Manifest.model_validate(values | changes)


def sealed(**changes: object) -> bytes:
    """A manifest with a right digest over changed content."""
    content = json.loads(to_json(make()))
    del content["digest"]
    content.update(changes)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return json.dumps({**content, "digest": sha256(text).hexdigest()}).encode()


def test_what_was_written_is_read() -> None:
    manifest = make()
    data = to_json(manifest)
    assert from_json(data) == manifest
    assert to_json(from_json(data)) == data
    assert from_json(sealed()) == manifest
    assert (manifest.rows, manifest.size, manifest.server_major, manifest.client_major) == (3, 21, 17, 17)
    assert manifest.target.as_text == manifest.identity
    assert manifest.seconds == 5


def test_times_keep_their_instant() -> None:
    manifest = make(finished_at=datetime(2026, 11, 22, 12, 0, 5, 123456, tzinfo=UTC) + timedelta(hours=1))
    assert from_json(to_json(manifest)) == manifest


def test_no_version_table_and_no_revision_are_two_things() -> None:
    assert from_json(to_json(make(revisions=None))).revisions is None
    assert from_json(to_json(make(revisions=()))).revisions == ()


def test_every_mutation_is_refused() -> None:
    """Flipped bits, lost and doubled bytes: refused, or the same value written differently."""
    data = to_json(make())
    chance = random.Random(7)
    for _ in range(10_000):
        at = chance.randrange(len(data))
        mutated = chance.choice(
            [
                data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :],
                data[:at],
                data[:at] + data[at + 1 :],
                data[:at] + data[at : at + 8] + data[at:],
            ]
        )
        if mutated == data:
            continue
        with pytest.raises(BackupInvalid):
            from_json(mutated)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"format": 1}', b"[" * 10_000])
def test_what_is_no_manifest(data: bytes) -> None:
    with pytest.raises(BackupInvalid):
        from_json(data)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_an_unknown_format(version: object) -> None:
    with pytest.raises(BackupInvalid, match="format"):
        from_json(sealed(format=version))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", "not an id"),
        ("dump", {"size": -1, "sha256": "b" * 64}),
        ("dump", {"size": 1, "sha256": "B" * 64}),
        ("encrypted", True),
        ("something_new", 1),
        ("server_version", "170004"),
        ("created_at", "2026-11-22T10:00:00"),
    ],
)
def test_wrong_values_are_named(key: str, value: object) -> None:
    with pytest.raises(BackupInvalid, match=key):
        from_json(sealed(**{key: value}))
