"""A data folder made from a backup."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.cli.backup import database
from services.cli.backup.copying import OnCopied, copy_blobs
from services.cli.backup.keys import open_keys
from services.cli.backup.snapshot import DATABASE, KEYS, BackupError, BackupFolder, Manifest
from services.cli.stack import Stack, StackSettings
from services.cli.stack.plan import NAMES
from services.cli.stack.ports import free_ports
from services.runtime.blobs import open_blobs
from services.runtime.local_blobs import LocalBlobs


@dataclass(frozen=True)
class Target:
    """Where a backup is restored to.

    Attributes:
        data: The data folder; empty, or not there yet.
        database: DSN of an empty database; the embedded one's unless given.
        blobs: URL of the blob store; the data folder's unless given.
        passphrase: Opens the keys; without one new ones are made at the first start.
    """

    data: Path
    database: str | None = None
    blobs: str | None = None
    passphrase: str = ""


async def restore_backup(
    folder: BackupFolder, manifest: Manifest, target: Target, on_copied: OnCopied
) -> list[str]:
    """Fill an empty data folder from a snapshot; the hashes of blobs that could not be.

    Raises:
        BackupError: The snapshot is broken, or the target holds something already.
        StackError: The embedded database does not start.
    """
    folder.check(manifest)
    require_empty(target.data)
    if target.passphrase:
        if manifest.keys is None:
            raise BackupError("the snapshot holds no keys: leave the passphrase out")
        keys = target.data / "keys"
        open_keys(folder.folder(manifest.snapshot) / KEYS, keys, target.passphrase)
    async with _empty_database(target) as dsn:
        await database.load(dsn, folder.folder(manifest.snapshot) / DATABASE)
    source = LocalBlobs(folder.blobs, free_bytes=0)
    store = open_blobs(target.blobs or (target.data / "blobs").as_uri())
    return await copy_blobs(source, store, folder.refs(manifest), on_copied)


def require_empty(data: Path) -> None:
    """Check that nothing lies in a folder, or that it is not there.

    Raises:
        BackupError: Something does.
    """
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise BackupError(f"{data} is not empty: a backup is restored into a new data folder")


@asynccontextmanager
async def _empty_database(target: Target) -> AsyncIterator[str]:
    if target.database is not None:
        if not await database.is_empty(target.database):
            raise BackupError("the database is not empty")
        yield target.database
        return
    http_port, dicom_port = free_ports(2)
    settings = StackSettings(
        data=target.data,
        http_port=http_port,
        dicom_port=dicom_port,
        without=NAMES - {"postgres"},
    )
    async with Stack(settings) as stack:
        await stack.ready()
        yield stack.addresses.database
