"""What consent to a reset or a stamp is bound to: the database as it was seen, and the project's history."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection

from web.answers.environment import View
from web.observation.stored_history import manifest_digest
from web.tools.history import History


def state_hash(
    kind: str,
    identity: str | None,
    revisions: Collection[str] | None,
    fingerprint: str | None,
    history: History | None,
) -> str:
    """SHA-256 over what a job of this kind stands on: another database, revision, schema or history gives another."""
    stands_on = {
        "kind": kind,
        "identity": identity,
        "revisions": sorted(revisions or ()),
        "fingerprint": fingerprint,
        "history": manifest_digest(history.to_json()) if history is not None else None,
    }
    return hashlib.sha256(json.dumps(stands_on, sort_keys=True).encode()).hexdigest()


def hash_of_view(kind: str, seen: View) -> str | None:
    """The same of what pages show; None: nothing was seen yet."""
    if seen.record is None or seen.observation is None:
        return None
    history = seen.source.history if seen.source is not None else None
    observation = seen.observation
    return state_hash(kind, seen.record.identity, observation.revisions, observation.fingerprint, history)
