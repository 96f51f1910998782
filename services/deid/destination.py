"""Where the process that treats an object puts what is released of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from services.runtime.local_blobs import LocalBlobs
from services.runtime.local_files import storage_errors

MEDIA_TYPE: Final = "application/dicom"
_PARTS_AT_ONCE: Final = 512  # one call of the system takes 1,024

Part = bytes | memoryview


@dataclass(frozen=True, slots=True)
class IntoStore:
    """A blob store in a folder of this machine: durable, under its hash, whole or not at all.

    Attributes:
        folder: Of the store.
        free_bytes: Room that stays free on its disk.
    """

    folder: Path
    free_bytes: int

    @property
    def as_json(self) -> dict[str, Any]:
        """The destination for a pipe."""
        return {"folder": str(self.folder), "free_bytes": self.free_bytes}

    def write(self, parts: Sequence[Part], sha256: str) -> None:
        """Write an object.

        Raises:
            StorageFullError: No room.
        """
        with _store(self.folder, self.free_bytes).staged_file(MEDIA_TYPE) as staged:
            for some in _grouped(parts):
                staged.write_hashed(*some)
            staged.commit(sha256)


@dataclass(frozen=True, slots=True)
class IntoFile:
    """A file of the caller's that lives as long as a call.

    Attributes:
        file: The file; replaced when it is there.
    """

    file: Path

    @property
    def as_json(self) -> dict[str, Any]:
        """The destination for a pipe."""
        return {"file": str(self.file)}

    def write(self, parts: Sequence[Part], _sha256: str) -> None:
        """Write an object.

        Raises:
            StorageFullError: No room.
        """
        with storage_errors(), self.file.open("wb") as file:
            file.writelines(parts)


Destination = IntoStore | IntoFile


def from_json(given: Mapping[str, Any]) -> Destination:
    """Return the destination that `as_json` gave."""
    if "file" in given:
        return IntoFile(Path(given["file"]))
    return IntoStore(Path(given["folder"]), given["free_bytes"])


@lru_cache(4)
def _store(folder: Path, free_bytes: int) -> LocalBlobs:
    return LocalBlobs(folder, free_bytes=free_bytes)


def _grouped(parts: Sequence[Part]) -> Iterator[Sequence[Part]]:
    for start in range(0, len(parts), _PARTS_AT_ONCE):
        yield parts[start : start + _PARTS_AT_ONCE]
