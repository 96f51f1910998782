"""What was refused, kept for a person to look at, within bounds."""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.refusal import RefusedError
from services.runtime import logs

REFUSED: Final = "instance.refused"
_OBJECT: Final = ".dcm"
_REASON: Final = ".json"


class Quarantine:
    """A folder of refused objects, each ``<sha256>.dcm`` beside ``<sha256>.json`` with its reason.

    The oldest give way to new ones. Keeping is a courtesy: an object that cannot be kept is
    logged by hash and reason, as all are.

    Args:
        folder: Made if absent, mode 0700.
        max_bytes: Most that all objects may take; a larger one is not kept.
        max_count: Most objects.
    """

    def __init__(self, folder: Path, *, max_bytes: int, max_count: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_count = max_count
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sizes: OrderedDict[str, int] = OrderedDict(_found(folder))
        self._bytes = sum(self._sizes.values())

    def keep(self, parts: Iterable[bytes | memoryview], sha256: str, refusal: RefusedError) -> None:
        """Keep one object, from any thread.

        Args:
            parts: Its bytes.
            sha256: Their hash.
            refusal: Why it was refused.
        """
        pieces = list(parts)
        size = sum(len(piece) for piece in pieces)
        logs.get_logger().warning(REFUSED, sha256=sha256, reason=refusal.kind.name, size_bytes=size)
        with self._lock, suppress(OSError):
            if sha256 in self._sizes or size > self._max_bytes or not self._max_count:
                return
            self._make_room(size)
            self._write(sha256, pieces, refusal)
            self._sizes[sha256] = size
            self._bytes += size

    def _make_room(self, size: int) -> None:
        while self._sizes and (
            len(self._sizes) >= self._max_count or self._bytes + size > self._max_bytes
        ):
            oldest, freed = self._sizes.popitem(last=False)
            self._bytes -= freed
            for suffix in (_OBJECT, _REASON):
                (self._folder / f"{oldest}{suffix}").unlink(missing_ok=True)

    def _write(self, sha256: str, pieces: list[bytes | memoryview], refusal: RefusedError) -> None:
        reason = {
            "kind": refusal.kind.value,
            "field": refusal.field,
            "rule": refusal.rule,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        path = self._folder / f"{sha256}{_OBJECT}"
        try:
            with open(path, "xb", opener=_private) as file:
                file.writelines(pieces)
            with open(path.with_suffix(_REASON), "w", encoding="utf-8", opener=_private) as file:
                json.dump(reason, file)
        except OSError:
            path.unlink(missing_ok=True)
            raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _found(folder: Path) -> list[tuple[str, int]]:
    files = [(path.stat(), path.stem) for path in folder.glob(f"*{_OBJECT}")]
    return [(name, status.st_size) for status, name in sorted(files, key=lambda f: f[0].st_mtime)]
