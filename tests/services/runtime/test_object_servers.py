"""Blobs in real object servers: S3 (moto), Azure (Azurite)."""

from __future__ import annotations

import hashlib
import hmac
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from services.runtime.blob_inventory import inventory_of
from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import open_blobs
from services.runtime.errors import BlobNotFoundError, DependencyUnavailableError
from services.runtime.object_blobs import ObjectBlobs
from tests.support.object_stores import BUCKET, ObjectServer, azure, s3

pytestmark = pytest.mark.soak

DICOM = "application/dicom"
LARGE = bytes(range(256)) * (12 << 12)


@pytest.fixture(scope="module", params=["s3", "azure"])
def server(request: pytest.FixtureRequest) -> Iterator[ObjectServer]:
    with s3() if request.param == "s3" else azure() as running:
        if request.param == "azure":
            make_container(running)
        yield running


@pytest.fixture
def blobs(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> ObjectBlobs:
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    opened = open_blobs(server.url)
    assert isinstance(opened, ObjectBlobs)
    return opened


def make_container(server: ObjectServer) -> None:
    """Make the container with a request signed by the account's key (SharedKey)."""
    account = server.environ["AZURE_STORAGE_ACCOUNT_NAME"]
    date, version = formatdate(usegmt=True), "2021-08-06"
    headers = f"x-ms-date:{date}\nx-ms-version:{version}\n"
    resource = f"/{account}/{account}/{BUCKET}\nrestype:container"
    text = "PUT\n" + "\n" * 11 + headers + resource
    key = b64decode(server.environ["AZURE_STORAGE_ACCOUNT_KEY"])
    signature = b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
    request = urllib.request.Request(  # noqa: S310
        f"{server.environ['AZURE_STORAGE_ENDPOINT']}/{BUCKET}?restype=container",
        method="PUT",
        headers={
            "x-ms-date": date,
            "x-ms-version": version,
            "Authorization": f"SharedKey {account}:{signature}",
        },
    )
    with urllib.request.urlopen(request, timeout=20):  # noqa: S310 -- http, and our own
        pass


async def test_bytes_come_back_whole_and_in_part(blobs: ObjectBlobs, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(LARGE)

    ref = await blobs.put_file(tmp_path / "in", DICOM)
    await blobs.copy_to(ref, tmp_path / "out")

    assert ref.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert (tmp_path / "out").read_bytes() == LARGE
    assert await blobs.read_range(ref, 256, 4) == bytes(range(4))
    assert await blobs.exists(ref)


async def test_what_is_not_there_is_not_found(blobs: ObjectBlobs) -> None:
    with pytest.raises(BlobNotFoundError):
        await blobs.read(BlobRef("0" * 64, 3, DICOM))


async def test_garbage_is_set_aside_put_back_and_deleted(blobs: ObjectBlobs) -> None:
    inventory, ref = inventory_of(blobs), await blobs.put_bytes(b"garbage", DICOM)

    (first,) = await inventory.set_aside([ref.sha256])
    gone = not await blobs.exists(ref)
    await inventory.put_back(first)
    whole = await blobs.read(ref)
    (second,) = await inventory.set_aside([ref.sha256])
    await inventory.discard(second)

    assert gone
    assert whole == b"garbage"
    assert [one async for one in inventory.aside()] == []
    assert [one async for one in inventory.stored(ref.sha256[:2])] == []


async def test_confirmations_are_kept(blobs: ObjectBlobs) -> None:
    inventory = inventory_of(blobs)

    await inventory.confirm_staged("gateway", 1000.5)
    await inventory.confirm_staged("gateway-2", 900.0)

    assert await inventory.staged_until() == 900.0


async def test_a_store_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    from obstore.store import S3Store

    store = S3Store(BUCKET, retry_config={"max_retries": 0})
    with pytest.raises(DependencyUnavailableError):
        await ObjectBlobs(store).put_bytes(b"bytes", DICOM)
