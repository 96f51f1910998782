"""Stored objects as files that a process may open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore
from services.runtime.workspaces import Workspaces


@asynccontextmanager
async def stored_file(
    blobs: BlobStore, workspaces: Workspaces, ref: BlobRef
) -> AsyncIterator[Path]:
    """Give the file of a blob, never to be written to; who reads it checks its hash.

    Raises:
        BlobNotFoundError: The blob is not stored, where that is known before it is read.
        BlobCorruptError: It does not have the bytes its hash promises, likewise.
    """
    local = blobs.local_path(ref)
    if local is not None:
        yield local
        return
    with workspaces.folder() as folder:
        copy = folder / "object.dcm"
        await blobs.copy_to(ref, copy)
        yield copy
