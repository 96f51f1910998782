"""What a blob store in a folder holds.

A blob that is set aside is moved to ``aside/<sha256>.<seconds since 1970>`` by one rename, so a
writer that puts the same bytes before it is found in what was moved, and one that puts them after
makes a new file.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from services.runtime.blob_inventory import AsideBlob, StoredBlob
from services.runtime.local_files import blob_path, flush_file
from services.runtime.signing_key import fsync_folder

_ASIDE: Final = "aside"
_HOLDS: Final = "holds"
_NAME: Final = re.compile(r"[0-9a-f]{64}")
_ASIDE_NAME: Final = re.compile(r"([0-9a-f]{64})\.(\d{1,12})")
_HOLDER: Final = re.compile(r"[a-z0-9-]{1,64}")


class LocalInventory:
    """A ``BlobInventory`` of a folder.

    Args:
        root: The folder of a ``LocalBlobs``.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        for name in (_ASIDE, _HOLDS):
            (root / name).mkdir(mode=0o700, exist_ok=True)
        fsync_folder(root)

    async def stored(self, prefix: str) -> AsyncIterator[StoredBlob]:
        """See ``BlobInventory``."""
        for blob in await asyncio.to_thread(_stored, self._root / prefix):
            yield blob

    async def aside(self) -> AsyncIterator[AsideBlob]:
        """See ``BlobInventory``."""
        for blob in await asyncio.to_thread(self._aside):
            yield blob

    async def set_aside(self, sha256s: Sequence[str]) -> list[AsideBlob]:
        """See ``BlobInventory``."""
        return await asyncio.to_thread(self._set_aside, sha256s)

    async def put_back(self, blob: AsideBlob) -> None:
        """See ``BlobInventory``."""
        await asyncio.to_thread(self._put_back, blob)

    async def discard(self, blob: AsideBlob) -> None:
        """See ``BlobInventory``."""
        await asyncio.to_thread(self._path(blob).unlink, missing_ok=True)

    async def confirm_staged(self, holder: str, moment: float) -> None:
        """See ``BlobInventory``."""
        await asyncio.to_thread(self._confirm, holder, moment)

    async def staged_until(self) -> float | None:
        """See ``BlobInventory``."""
        return await asyncio.to_thread(self._staged_until)

    def _path(self, blob: AsideBlob) -> Path:
        return self._root / _ASIDE / f"{blob.sha256}.{int(blob.aside_time)}"

    def _aside(self) -> list[AsideBlob]:
        found: list[AsideBlob] = []
        with os.scandir(self._root / _ASIDE) as entries:
            for entry in entries:
                match = _ASIDE_NAME.fullmatch(entry.name)
                if match is None:
                    continue
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    blob = AsideBlob(match[1], status.st_size, float(match[2]), status.st_mtime)
                    found.append(blob)
        return found

    def _set_aside(self, sha256s: Sequence[str]) -> list[AsideBlob]:
        moved, folders = list[AsideBlob](), {self._root / _ASIDE}
        aside_time = int(time.time())
        for sha256 in sha256s:
            source = blob_path(self._root, sha256)
            target = self._root / _ASIDE / f"{sha256}.{aside_time}"
            with suppress(FileNotFoundError):
                source.rename(target)
                status = target.stat()
                moved.append(AsideBlob(sha256, status.st_size, aside_time, status.st_mtime))
                folders.add(source.parent)
        for folder in folders:
            fsync_folder(folder)
        return moved

    def _put_back(self, blob: AsideBlob) -> None:
        target = blob_path(self._root, blob.sha256)
        try:
            # A link, not a rename: bytes that were put again meanwhile stay as they are.
            os.link(self._path(blob), target)
        except FileExistsError:
            # They may not be flushed yet, and ours are about to go.
            flush_file(target)
        fsync_folder(target.parent)
        self._path(blob).unlink(missing_ok=True)

    def _confirm(self, holder: str, moment: float) -> None:
        if not _HOLDER.fullmatch(holder):
            raise ValueError("holder")
        path = self._root / _HOLDS / holder
        path.touch(mode=0o600)
        os.utime(path, (moment, moment))

    def _staged_until(self) -> float | None:
        return min((path.stat().st_mtime for path in (self._root / _HOLDS).iterdir()), default=None)


def _stored(folder: Path) -> list[StoredBlob]:
    found: list[StoredBlob] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not _NAME.fullmatch(entry.name):
                    continue
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    found.append(StoredBlob(entry.name, status.st_size, status.st_mtime))
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda blob: blob.sha256)
