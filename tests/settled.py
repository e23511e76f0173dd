"""Imported last by the process that tests fork from: what it has imported is garbage for none of those it forks."""

from __future__ import annotations

import gc

# As in web.cli; without `freeze` each of them would look through all of it again, and have pages of its own then.
gc.set_threshold(50_000, 20, 100)
gc.collect()
gc.freeze()
