"""Blobs copied from one store to another, each checked against its hash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore
from services.runtime.errors import BlobCorruptError, BlobNotFoundError

_AT_ONCE: Final = 4

OnCopied = Callable[[BlobRef, bool], None]
"""Told of each blob that is in the target, and whether it was copied just now."""


async def copy_blobs(
    source: BlobStore, target: BlobStore, refs: Iterable[BlobRef], on_copied: OnCopied
) -> list[str]:
    """Copy what the target does not have; what cannot be read whole is left out.

    Returns:
        Hashes of what was left out.

    Raises:
        StorageFullError: No room in the target.
    """
    rest, damaged = iter(refs), list[str]()
    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(_copy_some(source, target, rest, on_copied, damaged))
    return sorted(damaged)


async def verify_blobs(
    store: BlobStore, refs: Iterable[BlobRef], on_checked: OnCopied
) -> list[str]:
    """Read blobs and compare them with their hashes; the hashes of those that differ."""
    damaged = []
    for ref in refs:
        try:
            async for _ in store.stream(ref):
                pass
        except (BlobNotFoundError, BlobCorruptError, OSError):
            damaged.append(ref.sha256)
        on_checked(ref, False)
    return damaged


async def _copy_some(
    source: BlobStore,
    target: BlobStore,
    rest: Iterator[BlobRef],
    on_copied: OnCopied,
    damaged: list[str],
) -> None:
    for ref in rest:
        there = await target.exists(ref)
        if not there and not await _copy(source, target, ref):
            damaged.append(ref.sha256)
            continue
        on_copied(ref, not there)


async def _copy(source: BlobStore, target: BlobStore, ref: BlobRef) -> bool:
    async with target.stage(ref.media_type) as writer:
        try:
            async for chunk in source.stream(ref):
                await writer.write(chunk)
        except (BlobNotFoundError, BlobCorruptError):
            return False
        await writer.commit()
    return True
