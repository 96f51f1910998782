"""Durable files named by their content, written from any thread or process.

A blob is written to ``incoming/<our id>``, flushed to disk, and then moved to
``<first two hex digits>/<sha256>``; the folder is flushed before its name is given away. So a file
under its final name is always whole, and a crash leaves at most a file in ``incoming``.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from services.runtime.blob_ref import BlobRef
from services.runtime.errors import StorageFullError
from services.runtime.ids import new_id
from services.runtime.metrics import BLOB_FLUSH_SECONDS, went_in
from services.runtime.signing_key import fsync_folder

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_INCOMING: Final = "incoming"
_NO_LINK: Final = frozenset({errno.EEXIST, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
"""The name is taken, or the file system gives no file a second name."""
_ROOM_EVERY: Final = 16 << 20


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raise `StorageFullError` for the errors of a full disk or quota."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFullError from None
        raise


class StagedFile:
    """One blob while it is written; leaving the context without a commit drops it.

    Args:
        root: The store's folder.
        media_type: Of the bytes.
        free_bytes: Room that stays free on its disk while a large blob is written, too.
    """

    def __init__(self, root: Path, media_type: str, free_bytes: int = 0) -> None:
        self._root = root
        self._free_bytes = free_bytes
        self._checked = 0
        self._media_type = media_type
        self._path = root / _INCOMING / new_id()
        self._hash = hashlib.sha256()
        self._size = 0
        self._named = False
        with storage_errors():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o600)

    @property
    def path(self) -> Path:
        """The file while it is written; only to be read."""
        return self._path

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Append bytes.

        Raises:
            StorageFullError: No room.
        """
        self._hash.update(chunk)
        self.write_hashed(chunk)

    def write_hashed(self, *chunks: bytes | bytearray | memoryview) -> None:
        """Append bytes whose hash the caller reckons.

        Raises:
            StorageFullError: No room.
        """
        size = sum(len(chunk) for chunk in chunks)
        self._size += size
        if self._free_bytes and self._size >= self._checked + _ROOM_EVERY:
            self._checked = self._size
            check_room(self._root, self._free_bytes)
        with storage_errors():
            written = os.writev(self._descriptor, chunks)
            rest = memoryview(b"".join(chunks))[written:] if written < size else memoryview(b"")
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def commit(self, sha256: str | None = None) -> BlobRef:
        """Make the bytes durable under their hash.

        Args:
            sha256: The hash of all bytes, for the caller of `write_hashed`.

        Raises:
            StorageFullError: No room.
        """
        ref = BlobRef(sha256 or self._hash.hexdigest(), self._size, self._media_type)
        target = blob_path(self._root, ref.sha256)
        with storage_errors():
            with BLOB_FLUSH_SECONDS.time():
                os.fdatasync(self._descriptor)
            self._rename(target)
            fsync_folder(target.parent)
        went_in(self._size)
        return ref

    def _rename(self, target: Path) -> None:
        try:
            self._path.replace(target)
        except FileNotFoundError:
            # There are 256 folders: to make sure of one each time costs more than this once.
            _make_durable_folder(target.parent)
            self._path.replace(target)
        self._named = True

    def _link(self, target: Path) -> None:
        try:
            target.hardlink_to(self._path)
        except FileNotFoundError:
            _make_durable_folder(target.parent)
            target.hardlink_to(self._path)

    def place(self, sha256: str) -> tuple[BlobRef, bool]:
        """Give the bytes their name, and leave it to somebody else to flush them.

        Args:
            sha256: The hash of all bytes.

        Returns:
            The blob, and whether it is durable: under a name that was taken it is, because bytes
            that a row may rely on must not give way to such as a power cut would lose.

        Raises:
            StorageFullError: No room.
        """
        ref = BlobRef(sha256, self._size, self._media_type)
        target = blob_path(self._root, sha256)
        with storage_errors():
            try:
                self._link(target)
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
                return self.commit(sha256), True
        went_in(self._size)
        return ref, False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop what was not committed."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            if not self._named:
                self._path.unlink(missing_ok=True)


def flush_blob(root: Path, ref: BlobRef) -> None:
    """Make the bytes of a blob durable that `StagedFile.place` named.

    Raises:
        FileNotFoundError: There is no such blob.
        OSError: The disk failed; the bytes may be lost though they can still be read.
    """
    with BLOB_FLUSH_SECONDS.time():
        flush_file(blob_path(root, ref.sha256))


def flush_file(path: Path) -> None:
    """Make the bytes of a file durable.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: The disk failed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def flush_blob_folder(root: Path, ref: BlobRef) -> None:
    """Make the name of a blob durable."""
    fsync_folder(blob_path(root, ref.sha256).parent)


def drop_unflushed(root: Path, ref: BlobRef) -> None:
    """Take away a blob whose flush failed: the next one must not find it and believe it."""
    with suppress(OSError):
        blob_path(root, ref.sha256).unlink(missing_ok=True)


def blob_path(root: Path, sha256: str) -> Path:
    """Return where the blob of a hash lies."""
    return root / sha256[:2] / sha256


def prepare(root: Path) -> None:
    """Make the folders of a store, mode 0700, durably."""
    root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make_durable_folder(root)
    _make_durable_folder(root / _INCOMING)


def check_room(root: Path, free_bytes: int) -> None:
    """Refuse to write when less than `free_bytes` would stay free.

    Raises:
        StorageFullError: The disk is that full.
    """
    status = os.statvfs(root)
    if status.f_bavail * status.f_frsize < free_bytes:
        raise StorageFullError


def sweep_incoming(root: Path, older_than_s: float) -> int:
    """Delete files that a crash left half written; return how many."""
    before = time.time() - older_than_s
    swept = 0
    for path in (root / _INCOMING).iterdir():
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before:
                path.unlink()
                swept += 1
    return swept


def write_blob(root: Path, chunks: Iterable[bytes | memoryview], media_type: str) -> BlobRef:
    """Write a whole blob durably.

    Raises:
        StorageFullError: No room.
    """
    with StagedFile(root, media_type) as staged:
        for chunk in chunks:
            staged.write(chunk)
        return staged.commit()


def _make_durable_folder(folder: Path) -> None:
    # Somebody else may have made it a moment ago, and not flushed it yet.
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    fsync_folder(folder.parent)
