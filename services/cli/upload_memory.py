"""Which uploads this user began, so that they are gone on with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.cli.stack.private_file import write_private
from services.runtime.ids import is_id

_MOST: Final = 200


class UploadMemory:
    """Ids of uploads by what they are of, in a file of the user's; losing it costs a transfer.

    Args:
        file: The file, mode 0600.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    @classmethod
    def of_user(cls, environ: Mapping[str, str] = os.environ) -> UploadMemory:
        """Return the memory of the user."""
        home = Path(environ.get("HOME", "/"))
        state = environ.get("XDG_STATE_HOME") or str(home / ".local/state")
        return cls(Path(state) / "heimdallr" / "uploads.json")

    def get(self, key: str) -> str | None:
        """Return the id of the upload of something."""
        found = self._read().get(_hash(key))
        return found if found is not None and is_id(found) else None

    def put(self, key: str, upload_id: str) -> None:
        """Remember an upload; the oldest give way."""
        known = self._read()
        known[_hash(key)] = upload_id
        self._write(dict(list(known.items())[-_MOST:]))

    def forget(self, key: str) -> None:
        """Forget an upload."""
        known = self._read()
        if known.pop(_hash(key), None) is not None:
            self._write(known)

    def _read(self) -> dict[str, str]:
        try:
            known = json.loads(self._file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _write(self, known: dict[str, str]) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._file, json.dumps(known))


def _hash(key: str) -> str:
    # Names of files may be names of patients.
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
