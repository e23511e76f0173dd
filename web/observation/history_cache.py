"""Histories that this process has read before, by the digest of their manifest.

A manifest of 800 migrations takes longer to fetch and to parse than the rest of a page. Whoever asks the store
sends the digests that are kept here, and gets no content for those.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from web.tools.history import History

#: Migrations that are kept in all; one takes about a kilobyte.
KEPT = 50_000


class Histories:
    """The histories that were used last."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._size = 0
        self._histories: OrderedDict[str, History] = OrderedDict()
        #: Heads and number of migrations of manifests that are only listed.
        self.extents: dict[str, tuple[tuple[str, ...], int]] = {}

    def known(self) -> dict[str, History]:
        """What need not be fetched. Another reader may push some of it out while a query is under way."""
        return dict(self._histories)

    def read(
        self, digest: str, manifest: Mapping[str, object] | None, known: Mapping[str, History]
    ) -> History:
        """The history of this digest; `manifest` is None where the query was told that it is `known`.

        Only complete ones are kept: what a project's code could not tell may be told later, under one digest.
        """
        if digest in self._histories:
            self._histories.move_to_end(digest)
        if manifest is None:
            return known[digest]
        history = History.from_json(manifest)
        if history.complete and digest not in self._histories:
            self._histories[digest] = history
            self._size += len(history)
            while self._size > self._kept and len(self._histories) > 1:
                self._size -= len(self._histories.popitem(last=False)[1])
        return history
