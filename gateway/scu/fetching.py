"""Files of C-GET: pynetdicom writes them to disk as they come, we take them from there."""

from __future__ import annotations

import asyncio
import functools
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from pynetdicom import dimse_messages

from gateway.peers.reception import Reception
from gateway.scu.get import Take

_PIECE: Final = 1 << 20
_ABANDONED_S: Final = 24 * 3600.0


def prepare_folder(folder: Path) -> None:
    """Let what comes by C-GET lie in a private folder until it is taken; old files go."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = time.time()
    for path in folder.iterdir():
        with suppress(OSError):
            if now - path.stat().st_mtime > _ABANDONED_S:
                path.unlink()
    # It takes the system's folder for temporary files, which is everybody's.
    named = functools.partial(tempfile.NamedTemporaryFile, dir=folder)
    vars(dimse_messages)["NamedTemporaryFile"] = named


def taker(reception: Reception, loop: asyncio.AbstractEventLoop) -> Take:
    """Return what takes a file from another thread than the loop's."""

    def take(path: Path) -> int:
        return asyncio.run_coroutine_threadsafe(reception.take(_pieces(path)), loop).result()

    return take


async def _pieces(path: Path) -> AsyncIterator[bytes | memoryview]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece
    finally:
        file.close()
