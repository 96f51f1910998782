"""A backup of a running stack: one moment of its database, then the blobs that this names.

Blobs are immutable and written before the rows that name them, so a moment of the database that is
read first finds all of its bytes afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Final

from services.cli.backup import database
from services.cli.backup.copying import OnCopied, copy_blobs, verify_blobs
from services.cli.backup.database import FrozenDatabase
from services.cli.backup.keys import seal_keys
from services.cli.backup.snapshot import BLOBS, DATABASE, KEYS, BackupFolder, FileHash, Manifest
from services.runtime.blobs import BlobStore
from services.runtime.local_blobs import LocalBlobs
from services.runtime.signing_key import fsync_folder

_FREE_BYTES: Final = 256 << 20

OnCounted = Callable[[Manifest], None]


@dataclass(frozen=True)
class Source:
    """What is backed up.

    Attributes:
        dsn: The database.
        blobs: Where its bytes lie.
        keys: Folder of the keys.
        passphrase: Seals the keys; without one they are left out.
    """

    dsn: str
    blobs: BlobStore
    keys: Path
    passphrase: str = ""


async def make_backup(
    folder: BackupFolder, source: Source, on_counted: OnCounted, on_copied: OnCopied
) -> Manifest:
    """Add a snapshot to a folder of backups; blobs that lie there already are not copied again.

    Args:
        folder: Where backups lie.
        source: What is backed up.
        on_counted: Told what there is to copy, once that is known.
        on_copied: Told of each blob.

    Raises:
        BackupError: The database cannot be read.
        StorageFullError: No room.
    """
    name = folder.begin()
    # The moment is held on to: no garbage is collected while blobs are copied.
    async with database.frozen(source.dsn) as moment:
        manifest = await _write_snapshot(folder, name, source, moment)
        on_counted(manifest)
        target = LocalBlobs(folder.blobs, free_bytes=_FREE_BYTES)
        refs = folder.refs(manifest)
        damaged = await copy_blobs(source.blobs, target, refs, on_copied)
    manifest = replace(manifest, damaged=tuple(damaged))
    folder.finish(manifest)
    _flush(folder.folder(name))
    return manifest


async def verify_backup(
    folder: BackupFolder, manifest: Manifest, on_checked: OnCopied
) -> list[str]:
    """Read a snapshot again and return the hashes of the blobs that differ.

    Raises:
        BackupError: Another file of it differs.
    """
    folder.check(manifest)
    store = LocalBlobs(folder.blobs, free_bytes=0)
    return await verify_blobs(store, folder.refs(manifest), on_checked)


async def _write_snapshot(
    folder: BackupFolder, name: str, source: Source, moment: FrozenDatabase
) -> Manifest:
    target = folder.folder(name)
    studies, instances = await moment.counts()
    blob_count, blob_bytes = await moment.write_blobs(target / BLOBS)
    await moment.dump(target / DATABASE)
    keys: FileHash | None = None
    if source.passphrase:
        seal_keys(source.keys, target / KEYS, source.passphrase)
        keys = FileHash.of(target / KEYS)
    return Manifest(
        snapshot=name,
        heimdallr=metadata.version("heimdallr"),
        database=FileHash.of(target / DATABASE),
        blobs=FileHash.of(target / BLOBS),
        keys=keys,
        study_count=studies,
        instance_count=instances,
        blob_count=blob_count,
        blob_bytes=blob_bytes,
    )


def _flush(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    fsync_folder(folder)
    fsync_folder(folder.parent)
