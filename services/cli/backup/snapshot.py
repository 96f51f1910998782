"""What a backup folder holds.

``blobs/`` holds bytes by their hash, shared by all snapshots; ``snapshots/<time>/`` holds one state
of the database, the list of the blobs that it names, and a manifest with the hashes of both. The
manifest is written last: a snapshot without one was never finished.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from services.cli.stack.errors import StackError
from services.cli.stack.private_file import write_private
from services.runtime.blob_ref import BlobRef

FORMAT: Final = 1
DATABASE: Final = "database.dump"
BLOBS: Final = "blobs.txt"
KEYS: Final = "keys.json"
_MANIFEST: Final = "manifest.json"


class BackupError(StackError):
    """A backup cannot be made, read or restored; the text says why."""


@dataclass(frozen=True)
class FileHash:
    """A file of a snapshot.

    Attributes:
        sha256: SHA-256 of its content, in hexadecimal.
        size_bytes: Its size.
    """

    sha256: str
    size_bytes: int

    @classmethod
    def of(cls, path: Path) -> FileHash:
        """Return the hash of a file."""
        with path.open("rb") as file:
            return cls(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


@dataclass(frozen=True)
class Manifest:
    """What a snapshot consists of.

    Attributes:
        snapshot: Its name: when its database was read, UTC.
        heimdallr: Version that made it.
        database: The dump of the database.
        blobs: The list of its blobs.
        keys: The sealed keys; None when they are kept apart.
        study_count: Studies.
        instance_count: Instances.
        blob_count: Blobs.
        blob_bytes: Their bytes.
        damaged: Hashes of blobs that could not be read whole.
    """

    snapshot: str
    heimdallr: str
    database: FileHash
    blobs: FileHash
    keys: FileHash | None
    study_count: int
    instance_count: int
    blob_count: int
    blob_bytes: int
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class BackupFolder:
    """A folder of backups."""

    root: Path

    @property
    def blobs(self) -> Path:
        """Bytes by their hash."""
        return self.root / "blobs"

    def folder(self, snapshot: str) -> Path:
        """Return where a snapshot lies."""
        return self.root / "snapshots" / snapshot

    def begin(self) -> str:
        """Make room for a new snapshot and return its name."""
        for folder in (self.root, self.root / "snapshots"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        self.folder(name).mkdir(mode=0o700)
        return name

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, by which a snapshot is whole."""
        path = self.folder(manifest.snapshot) / _MANIFEST
        write_private(path, json.dumps({"format": FORMAT, **asdict(manifest)}, indent=2))

    def snapshots(self) -> list[str]:
        """Return the names of the finished snapshots, the oldest first."""
        return sorted(path.parent.name for path in self.root.glob(f"snapshots/*/{_MANIFEST}"))

    def manifest(self, snapshot: str | None = None) -> Manifest:
        """Return a snapshot's manifest; the latest one's unless named.

        Raises:
            BackupError: There is none, or it is of another format.
        """
        names = self.snapshots()
        if not names or (snapshot is not None and snapshot not in names):
            raise BackupError(f"no {'such' if names else 'finished'} snapshot in {self.root}")
        path = self.folder(snapshot or names[-1]) / _MANIFEST
        try:
            return _manifest(json.loads(path.read_text()))
        except (ValueError, KeyError, TypeError):
            raise BackupError(f"{path} is no manifest of format {FORMAT}") from None

    def check(self, manifest: Manifest) -> None:
        """Compare the files of a snapshot with the hashes in its manifest.

        Raises:
            BackupError: One of them is not what it was.
        """
        files = {DATABASE: manifest.database, BLOBS: manifest.blobs, KEYS: manifest.keys}
        for name, expected in files.items():
            path = self.folder(manifest.snapshot) / name
            if expected is not None and (not path.is_file() or FileHash.of(path) != expected):
                raise BackupError(f"{path} is not what the manifest says")

    def refs(self, manifest: Manifest) -> Iterator[BlobRef]:
        """Yield the blobs of a snapshot."""
        with (self.folder(manifest.snapshot) / BLOBS).open() as lines:
            for line in lines:
                sha256, size, media_type = line.split()
                yield BlobRef(sha256, int(size), media_type)


def _manifest(values: dict[str, Any]) -> Manifest:
    if values.pop("format") != FORMAT:
        raise ValueError("format")
    for name in ("database", "blobs", "keys"):
        values[name] = FileHash(**values[name]) if values[name] is not None else None
    return Manifest(**{**values, "damaged": tuple(values["damaged"])})
