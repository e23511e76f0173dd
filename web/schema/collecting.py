"""Python's cyclic collector while many objects are made at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collecting_later() -> Iterator[None]:
    """Put the collector off for a block that makes many lasting objects and no circles.

    It would walk all that is there again and again, for nothing: that is a third of the time of a large schema.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
