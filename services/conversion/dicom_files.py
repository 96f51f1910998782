"""The instances of a series as files in a private folder, under names of ours."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore
from services.runtime.errors import BlobCorruptError, BlobNotFoundError

_AT_ONCE: Final = 4


async def gather_files(blobs: BlobStore, refs: Sequence[BlobRef], folder: Path) -> list[Path]:
    """Bring blobs into a folder as 000001.dcm and so on, in the order given.

    A blob on this machine is linked, not copied; either way its bytes are checked against the
    hash, and only a few blobs are read at a time.

    Raises:
        BlobNotFoundError: A blob is not stored.
        BlobCorruptError: A blob does not have the bytes its hash promises.
    """
    await asyncio.to_thread(folder.mkdir)
    paths = [folder / f"{number:06d}.dcm" for number in range(1, len(refs) + 1)]
    pairs = iter(zip(refs, paths, strict=True))

    async def work() -> None:
        for ref, path in pairs:
            await _bring(blobs, ref, path)

    workers = [asyncio.create_task(work()) for _ in range(_AT_ONCE)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return paths


async def _bring(blobs: BlobStore, ref: BlobRef, path: Path) -> None:
    local = blobs.local_path(ref)
    if local is None:
        await blobs.copy_to(ref, path)
    else:
        await asyncio.to_thread(_link, ref, local, path)


def _link(ref: BlobRef, local: Path, path: Path) -> None:
    try:
        with local.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise BlobNotFoundError(ref.sha256) from None
    if digest != ref.sha256:
        raise BlobCorruptError(ref.sha256)
    path.symlink_to(local)
