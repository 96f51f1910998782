"""What a blob store over obstore holds.

An object store has no rename: a blob is copied to ``aside/<sha256>.<seconds since 1970>`` before
it is deleted. A writer that puts the same bytes between the two loses its copy, not the bytes:
they lie aside until every gateway has had its instances indexed, and are put back by the next
collection.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import ObjectStore

from services.runtime.blob_inventory import AsideBlob, StoredBlob
from services.runtime.errors import DependencyUnavailableError

_ASIDE: Final = "aside"
_HOLDS: Final = "holds"
_NAME: Final = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})")
_ASIDE_NAME: Final = re.compile(r"aside/([0-9a-f]{64})\.(\d{1,12})")
_MISSING: Final = (FileNotFoundError, NotFoundError)
_PAGE: Final = 1000


class ObjectInventory:
    """A ``BlobInventory`` over obstore."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def stored(self, prefix: str) -> AsyncIterator[StoredBlob]:
        """See ``BlobInventory``."""
        # Not every store lists in order; one prefix is in memory at a time.
        found = [
            StoredBlob(match[1], item["size"], item["last_modified"].timestamp())
            async for item in self._list(prefix)
            if (match := _NAME.fullmatch(item["path"])) is not None
        ]
        for blob in sorted(found, key=lambda blob: blob.sha256):
            yield blob

    async def aside(self) -> AsyncIterator[AsideBlob]:
        """See ``BlobInventory``."""
        async for item in self._list(_ASIDE):
            match = _ASIDE_NAME.fullmatch(item["path"])
            if match is not None:
                moment = float(match[2])
                yield AsideBlob(match[1], item["size"], moment, moment)

    async def set_aside(self, sha256s: Sequence[str]) -> list[AsideBlob]:
        """See ``BlobInventory``."""
        moved = [await self._set_aside(sha256) for sha256 in sha256s]
        return [blob for blob in moved if blob is not None]

    async def _set_aside(self, sha256: str) -> AsideBlob | None:
        name, moment = _blob(sha256), int(time.time())
        try:
            with _reached():
                found = await obstore.head_async(self._store, name)
                await obstore.copy_async(self._store, name, f"{_ASIDE}/{sha256}.{moment}")
                await obstore.delete_async(self._store, name)
        except _MISSING:
            return None
        return AsideBlob(sha256, found["size"], moment, found["last_modified"].timestamp())

    async def put_back(self, blob: AsideBlob) -> None:
        """See ``BlobInventory``."""
        with _reached(), suppress(*_MISSING):
            if not await self._is_stored(blob.sha256):
                await obstore.copy_async(self._store, _path(blob), _blob(blob.sha256))
            await obstore.delete_async(self._store, _path(blob))

    async def discard(self, blob: AsideBlob) -> None:
        """See ``BlobInventory``."""
        with _reached(), suppress(*_MISSING):
            await obstore.delete_async(self._store, _path(blob))

    async def confirm_staged(self, holder: str, moment: float) -> None:
        """See ``BlobInventory``."""
        with _reached():
            await obstore.put_async(self._store, f"{_HOLDS}/{holder}", b"%.3f" % moment)

    async def staged_until(self) -> float | None:
        """See ``BlobInventory``."""
        moments = [await self._moment(item["path"]) async for item in self._list(_HOLDS)]
        return min(moments, default=None)

    async def _moment(self, path: str) -> float:
        with _reached():
            answer = await obstore.get_async(self._store, path)
            return float(bytes(await answer.bytes_async()))

    async def _is_stored(self, sha256: str) -> bool:
        try:
            await obstore.head_async(self._store, _blob(sha256))
        except _MISSING:
            return False
        return True

    async def _list(self, prefix: str) -> AsyncIterator[Any]:
        with _reached():
            async for page in obstore.list(self._store, prefix, chunk_size=_PAGE):
                for item in page:
                    yield item


def _blob(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


def _path(blob: AsideBlob) -> str:
    return f"{_ASIDE}/{blob.sha256}.{int(blob.aside_time)}"


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except _MISSING:
        raise
    except BaseError:
        raise DependencyUnavailableError("blobs") from None
