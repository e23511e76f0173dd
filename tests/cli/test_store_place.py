"""Where the store is: who needs which secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from web.cli.store_place import StorePlace, configured_place, running_url
from web.config import Configuration, load
from web.errors import SecretUnavailable, StoreNotReady

URL = "postgresql://cleanstart_runtime:two@db/cleanstart"
OWNER_URL = "postgresql://cleanstart_owner:one@db/cleanstart"


def written(folder: Path, *lines: str) -> Configuration:
    file = folder / "cleanstart.toml"
    file.write_text("\n".join((f'data_directory = "{folder / "data"}"', *lines)) + "\n")
    return load(file)


def test_only_an_upgrade_reads_the_owners_secret(tmp_path: Path) -> None:
    made = written(tmp_path, 'store.url = "file:runtime"', 'store.owner_url = "file:owner"')
    (tmp_path / "runtime").write_text(URL)
    assert running_url(made) == URL
    with pytest.raises(SecretUnavailable, match=r"store\.owner_url"):
        configured_place(made)
    (tmp_path / "owner").write_text(OWNER_URL)
    assert configured_place(made) == StorePlace(OWNER_URL, URL)
    assert StorePlace(OWNER_URL, URL).runtime_role == "cleanstart_runtime"


def test_one_role_for_both_needs_no_grants(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(OWNER_URL)
    made = configured_place(written(tmp_path, 'store.url = "file:url"'))
    assert made == StorePlace(OWNER_URL, OWNER_URL)
    assert made.runtime_role is None


def test_an_embedded_store_that_was_never_started(tmp_path: Path) -> None:
    made = written(tmp_path)
    assert configured_place(made) is None
    with pytest.raises(StoreNotReady, match="no store"):
        running_url(made)
