"""The keys of all projects, a file for each in one folder of secrets."""

from __future__ import annotations

from pathlib import Path

from services.deid.key_files import add_version, make_key, read_key
from services.deid.project_key import InvalidKeyError, ProjectKey
from services.runtime.errors import DeidKeyUnavailableError, InvalidFieldError
from services.runtime.ids import is_id


class KeyRing:
    """Finds the key of a project; nothing is kept in memory, so that a file is all there is.

    Beside each key lies an empty file that says that there was one: a key that is lost is never
    replaced in silence by another, under which nobody would be known again.

    Args:
        folder: Of the keys; made when the first key is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def key(self, project_id: str, key_id: str = "") -> ProjectKey:
        """Return the key of a project that has one.

        Args:
            project_id: UUIDv7.
            key_id: Id of the key that is expected; any when empty.

        Raises:
            InvalidFieldError: It is no id.
            DeidKeyUnavailableError: There is no key, or not that one.
        """
        try:
            found = read_key(self._path(project_id))
        except (OSError, InvalidKeyError):
            raise DeidKeyUnavailableError(project_id) from None
        if key_id and found.key_id != key_id:
            raise DeidKeyUnavailableError(project_id)
        return found

    def key_or_new(self, project_id: str, key_id: str = "") -> ProjectKey:
        """Return the key of a project, a new one for a project that never had any.

        Raises:
            InvalidFieldError: It is no id.
            DeidKeyUnavailableError: It had a key, and that is not there.
        """
        path = self._path(project_id)
        mark = path.with_suffix(".made")
        if key_id or path.exists() or mark.exists():
            return self.key(project_id, key_id)
        try:
            made = make_key(path)
            mark.touch(mode=0o600)
        except (OSError, InvalidKeyError):
            raise DeidKeyUnavailableError(project_id) from None
        return made

    def rotate(self, project_id: str) -> ProjectKey:
        """Add a version to the key of a project and return the key.

        Raises:
            InvalidFieldError: It is no id.
            DeidKeyUnavailableError: There is no key.
        """
        try:
            return add_version(self._path(project_id))
        except (OSError, InvalidKeyError):
            raise DeidKeyUnavailableError(project_id) from None

    def _path(self, project_id: str) -> Path:
        if not is_id(project_id):
            raise InvalidFieldError("project_id", "a UUID in lower case")
        return self._folder / f"{project_id}.json"
