"""Where a client takes its bearer token from."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from services.runtime.errors import DependencyUnavailableError


class TokenSource(Protocol):
    """Gives the token to send with the next call."""

    def token(self) -> str:
        """Return a token that is valid now.

        Raises:
            DependencyUnavailableError: There is none at the moment.
        """
        ...


class FixedTokenSource:
    """Always the same token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str:
        """Return the token."""
        return self._token


class FileTokenSource:
    """A service's short-lived token, replaced in its file by whoever runs the service.

    The file's stamp is looked at before each call, so a fresh token is used at once and an old
    one never longer than its file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._token = ""

    def token(self) -> str:
        """Return the token in the file.

        Raises:
            DependencyUnavailableError: The file is absent or empty.
        """
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._stamp:
                self._token = self._path.read_text(encoding="ascii").strip()
                self._stamp = stamp
        except (OSError, UnicodeDecodeError):
            raise DependencyUnavailableError("token") from None
        if not self._token:
            raise DependencyUnavailableError("token")
        return self._token
