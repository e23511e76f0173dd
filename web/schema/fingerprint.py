"""One short text for a whole schema, comparable across databases and servers of one major version."""

from __future__ import annotations

from hashlib import sha256

from web.schema.model import Schema
from web.schema.serialize import to_json


def fingerprint(schema: Schema) -> str:
    """Hash the canonical content: equal if and only if the schemas are (in what of them could be read)."""
    return sha256(to_json(schema)).hexdigest()
