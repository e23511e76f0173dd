"""Where the store is: who needs which secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from web.cli.store_place import StorePlace, configured_place, running_url
from web.config import Configuration, load
from web.errors import SecretUnavailable, StoreNotReady

#: As they are written, and as SQLAlchemy reads them.
URL = "postgresql://cleanstart_runtime:two@db/cleanstart"
OWNER_URL = "postgresql://cleanstart_owner:one@db/cleanstart"
READ, OWNER_READ = (url.replace("postgresql:", "postgresql+psycopg:") for url in (URL, OWNER_URL))


def written(folder: Path, *lines: str) -> Configuration:
    file = folder / "cleanstart.toml"
    file.write_text("\n".join((f'data_directory = "{folder / "data"}"', *lines)) + "\n")
    return load(file)


def test_only_an_upgrade_reads_the_owners_secret(tmp_path: Path) -> None:
    made = written(tmp_path, 'store.url = "file:runtime"', 'store.owner_url = "file:owner"')
    (tmp_path / "runtime").write_text(URL)
    assert running_url(made) == READ
    with pytest.raises(SecretUnavailable, match=r"store\.owner_url"):
        configured_place(made)
    (tmp_path / "owner").write_text(OWNER_URL)
    assert configured_place(made) == StorePlace(OWNER_READ, READ)
    assert StorePlace(OWNER_READ, READ).runtime_role == "cleanstart_runtime"


def test_one_role_for_both_needs_no_grants(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(OWNER_URL)
    made = configured_place(written(tmp_path, 'store.url = "file:url"'))
    assert made == StorePlace(OWNER_READ, OWNER_READ)
    assert made.runtime_role is None


@pytest.mark.parametrize(
    "written_as",
    ["host=db user=cleanstart_runtime password=two dbname=cleanstart", URL, READ, f"  {URL}?", f"{URL}\n"],
)
def test_every_form_of_a_url_leads_to_the_store(tmp_path: Path, written_as: str) -> None:
    (tmp_path / "url").write_text(written_as)
    assert running_url(written(tmp_path, 'store.url = "file:url"')) == READ


def test_an_embedded_store_that_was_never_started(tmp_path: Path) -> None:
    made = written(tmp_path)
    assert configured_place(made) is None
    with pytest.raises(StoreNotReady, match="no store"):
        running_url(made)
