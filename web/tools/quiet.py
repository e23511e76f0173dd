"""Reading other people's Python without its warnings."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_FILTERS = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Old code holds escapes that newer Pythons warn of; that is the project's own business."""
    # The filters belong to the whole process: two threads that change them would not put them back in order.
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
