"""Port to what a blob store holds, for whoever looks after it as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from services.runtime.blobs import BlobStore
from services.runtime.local_blobs import LocalBlobs

PREFIXES: Final = tuple(f"{number:02x}" for number in range(256))
"""The first two digits of hashes, in order."""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob as it lies in the store.

    Attributes:
        sha256: Its name.
        size_bytes: Number of bytes.
        put_time: When it was last put, seconds since 1970; putting it again makes it young.
    """

    sha256: str
    size_bytes: int
    put_time: float


@dataclass(frozen=True, slots=True)
class AsideBlob:
    """A blob that was set aside, to be deleted later or put back.

    Attributes:
        aside_time: When that was, seconds since 1970.
        put_time: When what was moved had last been put; exact only as `set_aside` returns it.
    """

    sha256: str
    size_bytes: int
    aside_time: float
    put_time: float


class BlobInventory(Protocol):
    """Lists what is stored and moves what nothing names out of the way.

    Setting aside and putting back never lose bytes, whatever puts the same blob meanwhile and
    wherever they are interrupted.
    """

    def stored(self, prefix: str) -> AsyncIterator[StoredBlob]:
        """Yield the blobs whose hash begins with two digits, in the order of their hashes."""
        ...

    def aside(self) -> AsyncIterator[AsideBlob]:
        """Yield the blobs that were set aside, in no order."""
        ...

    async def set_aside(self, sha256s: Sequence[str]) -> list[AsideBlob]:
        """Move blobs out of the way and return what was moved; what is not stored is left out."""
        ...

    async def put_back(self, blob: AsideBlob) -> None:
        """Undo setting a blob aside; what was stored again meanwhile stays as it is."""
        ...

    async def discard(self, blob: AsideBlob) -> None:
        """Delete a blob that was set aside."""
        ...

    async def confirm_staged(self, holder: str, moment: float) -> None:
        """Note that all that a holder put before a moment is indexed, or promised to nobody.

        Args:
            holder: Our name of whoever puts blobs before they are indexed, e.g. "gateway".
            moment: Seconds since 1970.
        """
        ...

    async def staged_until(self) -> float | None:
        """Return the earliest moment that every holder has confirmed; None without a holder."""
        ...


def inventory_of(blobs: BlobStore) -> BlobInventory:
    """Return the inventory of a blob store.

    Raises:
        TypeError: The store is of no kind that is known.
    """
    from services.runtime.local_inventory import LocalInventory
    from services.runtime.object_blobs import ObjectBlobs
    from services.runtime.object_inventory import ObjectInventory

    if isinstance(blobs, LocalBlobs):
        return LocalInventory(blobs.folder)
    if isinstance(blobs, ObjectBlobs):
        return ObjectInventory(blobs.objects)
    raise TypeError(type(blobs).__name__)
