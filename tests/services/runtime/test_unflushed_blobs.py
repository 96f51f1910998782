"""Blobs that are named before they are flushed, and never take the place of one that is."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from services.runtime.blob_ref import BlobRef
from services.runtime.local_blobs import LocalBlobs
from services.runtime.local_files import blob_path, flush_blob, flush_blob_folder

DICOM = "application/dicom"
DATA = b"pixels" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs", free_bytes=0)


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths in the order in which they were flushed."""
    paths: list[str] = []

    def note(descriptor: int) -> None:
        paths.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr(os, "fdatasync", note)
    monkeypatch.setattr(os, "fsync", note)
    return paths


def _place(blobs: LocalBlobs) -> tuple[BlobRef, bool]:
    with blobs.staged_file(DICOM) as staged:
        staged.write_hashed(DATA[:10], DATA[10:20])
        staged.write_hashed(DATA[20:])
        return staged.place(SHA256)


def test_a_placed_blob_is_whole_under_its_name_and_not_flushed(
    blobs: LocalBlobs, flushed: list[str]
) -> None:
    ref, durable = _place(blobs)

    assert (ref, durable) == (BlobRef(SHA256, len(DATA), DICOM), False)
    assert blob_path(blobs.folder, SHA256).read_bytes() == DATA
    assert not list((blobs.folder / "incoming").iterdir())
    assert not [path for path in flushed if SHA256 in path]


def test_flushing_it_flushes_its_bytes_and_its_name(blobs: LocalBlobs, flushed: list[str]) -> None:
    ref, _ = _place(blobs)
    flushed.clear()

    flush_blob(blobs.folder, ref)
    flush_blob_folder(blobs.folder, ref)

    path = blob_path(blobs.folder, SHA256)
    assert flushed == [str(path), str(path.parent)]


def test_a_name_that_is_taken_is_only_replaced_by_bytes_that_are_durable(
    blobs: LocalBlobs, flushed: list[str]
) -> None:
    _place(blobs)
    first = blob_path(blobs.folder, SHA256).stat().st_ino
    flushed.clear()

    _, durable = _place(blobs)

    assert durable
    assert blob_path(blobs.folder, SHA256).stat().st_ino != first
    assert "/incoming/" in flushed[0]
    assert flushed[-1] == str(blob_path(blobs.folder, SHA256).parent)


def test_a_file_system_without_links_gets_durable_bytes_at_once(
    blobs: LocalBlobs, flushed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path, _target: Path) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)

    _, durable = _place(blobs)

    assert durable
    assert blob_path(blobs.folder, SHA256).read_bytes() == DATA
    assert "/incoming/" in flushed[0]


async def test_a_blob_that_cannot_be_flushed_is_taken_away(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref, _ = _place(blobs)

    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "lost")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(OSError, match="lost"):
        await blobs.flush(ref)

    # The kernel would give the lost bytes to a reader, and call the next flush a success.
    assert not blob_path(blobs.folder, SHA256).exists()
