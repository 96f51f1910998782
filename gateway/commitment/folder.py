"""Requests that are not answered yet, each a file, so that a restart answers them all the same."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from gateway.commitment.commitment import Commitment, Reference
from services.runtime import logs
from services.runtime.ids import is_id
from services.runtime.local_files import storage_errors
from services.runtime.signing_key import fsync_folder

UNREADABLE: Final = "commitment.unreadable"
_SUFFIX: Final = ".json"
_PARTIAL: Final = ".partial"


class CommitmentFolder:
    """A folder of files named by our ids.

    Args:
        folder: Made if absent, mode 0700.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def keep(self, commitment: Commitment) -> None:
        """Keep a request; durable on return.

        Raises:
            StorageFullError: No room.
            OSError: The disk failed.
        """
        content = {
            "transaction_uid": commitment.transaction_uid,
            "ae_title": commitment.ae_title,
            "references": [[r.sop_class_uid, r.sop_instance_uid] for r in commitment.references],
        }
        path = self._path(commitment.commitment_id)
        partial = path.with_suffix(_PARTIAL)
        with storage_errors():
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(json.dumps(content).encode())
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            fsync_folder(self._folder)

    def forget(self, commitment_id: str) -> None:
        """Drop a request that was answered."""
        self._path(commitment_id).unlink(missing_ok=True)

    def found(self) -> list[Commitment]:
        """Return every request that is kept, the oldest first."""
        for partial in self._folder.glob(f"*{_PARTIAL}"):
            partial.unlink()
        names = sorted(path.stem for path in self._folder.glob(f"*{_SUFFIX}"))
        read = [self._read(name) for name in names if is_id(name)]
        return [commitment for commitment in read if commitment is not None]

    def _read(self, commitment_id: str) -> Commitment | None:
        try:
            content = json.loads(self._path(commitment_id).read_bytes())
            references = tuple(Reference(str(a), str(b)) for a, b in content["references"])
            return Commitment(
                commitment_id, content["transaction_uid"], content["ae_title"], references
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            logs.get_logger().error(UNREADABLE, **logs.failure(error))
            return None

    def _path(self, commitment_id: str) -> Path:
        return self._folder / f"{commitment_id}{_SUFFIX}"
