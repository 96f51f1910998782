"""A URL chooses the blob store."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.runtime.blobs import BlobStore, open_blobs
from services.runtime.local_blobs import LocalBlobs


def test_a_url_names_the_store(tmp_path: Path) -> None:
    store: BlobStore = open_blobs((tmp_path / "a b").as_uri())

    assert isinstance(store, LocalBlobs)
    assert (tmp_path / "a b" / "incoming").is_dir()


@pytest.mark.parametrize("url", ["", "blobs", "file:relative", "file://host/x", "ftp://x/y", "s3:"])
def test_a_url_of_no_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        open_blobs(url)
