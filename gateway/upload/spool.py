"""Uploads on disk: each a folder with what is known of it and the bytes that came so far.

``<folder>/<upload id>/upload.json``, ``data`` while it is open, ``outcome.json`` once it is being
unpacked. How much of it came is the size of ``data``; after the machine itself went down that is
cut back to what was flushed before, so that no gap is ever taken for bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from gateway.upload.outcome import Outcome
from gateway.upload.settings import UploadSettings
from services.runtime.errors import LimitExceededError, StorageFullError
from services.runtime.ids import is_id, new_id
from services.runtime.local_files import storage_errors
from services.runtime.signing_key import fsync_folder

_ABOUT: Final = "upload.json"
_DATA: Final = "data"
_OUTCOME: Final = "outcome.json"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload.

    Attributes:
        upload_id: Our id.
        owner: Subject of the token that began it; nobody else sees it.
        length: Size in bytes.
        create_time: Unix time in seconds.
        peer_address: Address that began it, without port.
        boot_id: The start of the machine in which bytes came last.
        flushed: Bytes that were durable when last noted.
    """

    upload_id: str
    owner: str
    length: int
    create_time: float
    peer_address: str
    boot_id: str
    flushed: int = 0


class UploadSpool:
    """The folder of all uploads. Blocking; one process uses it.

    Args:
        folder: Made if absent, mode 0700.
        settings: Bounds.
    """

    def __init__(self, folder: Path, settings: UploadSettings) -> None:
        self._folder = folder
        self._settings = settings
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._boot_id = _BOOT_ID.read_text().strip()
        found = filter(None, map(self._found, _ids(folder)))
        self._uploads = {upload.upload_id: upload for upload in found}
        self._finished = {
            upload_id
            for upload_id, upload in self._uploads.items()
            if self.outcome(upload).finished
        }

    def uploads(self, owner: str | None = None) -> list[Upload]:
        """Return all uploads, or those of one caller, the oldest first."""
        found = sorted(self._uploads.values(), key=lambda upload: upload.upload_id)
        return [upload for upload in found if owner in (None, upload.owner)]

    def whole(self) -> list[Upload]:
        """Return the uploads whose bytes are all there and that are not unpacked yet."""
        return [
            upload
            for upload in self.uploads()
            if not self.is_finished(upload) and self.offset(upload) == upload.length
        ]

    def is_finished(self, upload: Upload) -> bool:
        """Return whether it is known what became of all of an upload."""
        return upload.upload_id in self._finished

    def get(self, upload_id: str) -> Upload | None:
        """Return one upload."""
        return self._uploads.get(upload_id)

    def create(self, owner: str, length: int, peer_address: str) -> Upload:
        """Begin an upload.

        Raises:
            LimitExceededError: Too many are open.
            StorageFullError: No room for it beside those that are open.
        """
        open_ones = [upload for upload in self.uploads() if not self.is_finished(upload)]
        if len(open_ones) >= self._settings.max_open:
            raise LimitExceededError("open_uploads")
        own = sum(upload.owner == owner for upload in open_ones)
        if own >= self._settings.max_open_per_caller:
            raise LimitExceededError("open_uploads_per_caller")
        needed = sum(upload.length - self.offset(upload) for upload in open_ones) + length
        self.require_room(needed)
        upload = Upload(new_id(), owner, length, time.time(), peer_address, self._boot_id)
        with storage_errors():
            self._path(upload).mkdir(mode=0o700)
            self.data_path(upload).touch(mode=0o600)
            self._write(upload, _ABOUT, asdict(upload))
            fsync_folder(self._folder)
        self._uploads[upload.upload_id] = upload
        return upload

    def require_room(self, size: int = 0) -> None:
        """Check that there is room for some bytes.

        Raises:
            StorageFullError: There is not.
        """
        status = os.statvfs(self._folder)
        if status.f_bavail * status.f_frsize < self._settings.free_bytes + size:
            raise StorageFullError

    def offset(self, upload: Upload) -> int:
        """Return how many bytes came so far."""
        try:
            return self.data_path(upload).stat().st_size
        except FileNotFoundError:
            return upload.length

    def flushed(self, upload: Upload) -> None:
        """Note that all bytes that came so far are durable."""
        noted = replace(upload, boot_id=self._boot_id, flushed=self.offset(upload))
        with storage_errors():
            self._write(noted, _ABOUT, asdict(noted))
        self._uploads[upload.upload_id] = noted

    def outcome(self, upload: Upload) -> Outcome:
        """Return what became of an upload so far."""
        try:
            return Outcome.from_json(json.loads((self._path(upload) / _OUTCOME).read_bytes()))
        except (FileNotFoundError, ValueError):
            return Outcome()

    def note(self, upload: Upload, outcome: Outcome) -> None:
        """Keep what became of an upload; its bytes are dropped once it is finished."""
        with storage_errors():
            self._write(upload, _OUTCOME, outcome.to_json())
        if outcome.finished:
            self._finished.add(upload.upload_id)
            self.data_path(upload).unlink(missing_ok=True)

    def remove(self, upload: Upload) -> None:
        """Forget an upload and its bytes."""
        self._uploads.pop(upload.upload_id, None)
        self._finished.discard(upload.upload_id)
        shutil.rmtree(self._path(upload), ignore_errors=True)

    def last_change(self, upload: Upload) -> float:
        """Return the Unix time at which bytes came last, or it was finished."""
        for name in (_OUTCOME, _DATA):
            with suppress(FileNotFoundError):
                return (self._path(upload) / name).stat().st_mtime
        return upload.create_time

    def data_path(self, upload: Upload) -> Path:
        """Return the file that holds what came so far."""
        return self._path(upload) / _DATA

    def _path(self, upload: Upload) -> Path:
        return self._folder / upload.upload_id

    def _write(self, upload: Upload, name: str, document: dict[str, Any]) -> None:
        folder = self._path(upload)
        temporary = folder / f".{name}"
        with open(temporary, "w", encoding="utf-8", opener=_private) as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / name)
        fsync_folder(folder)

    def _found(self, upload_id: str) -> Upload | None:
        try:
            about = json.loads((self._folder / upload_id / _ABOUT).read_bytes())
            upload = Upload(**about)
        except (OSError, ValueError, TypeError):
            # A crash came before its first line was written: nobody was told of it.
            shutil.rmtree(self._folder / upload_id, ignore_errors=True)
            return None
        if upload.boot_id != self._boot_id and upload.flushed < self.offset(upload):
            with suppress(FileNotFoundError):
                os.truncate(self.data_path(upload), upload.flushed)
        return upload


def _ids(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if is_id(path.name))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
