"""Names of immutable bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MEDIA_TYPE: Final = re.compile(r"[a-z]+/[a-z0-9.+-]{1,100}")


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Bytes in the blob store, named by their content.

    Attributes:
        sha256: SHA-256 of the bytes, 64 lower-case hexadecimal digits.
        size_bytes: Number of bytes.
        media_type: Media type, e.g. "application/dicom".

    Raises:
        ValueError: A field does not have the form above.
    """

    sha256: str
    size_bytes: int
    media_type: str

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError("sha256: 64 lower-case hexadecimal digits")
        if self.size_bytes < 0:
            raise ValueError("size_bytes: not negative")
        if not _MEDIA_TYPE.fullmatch(self.media_type):
            raise ValueError("media_type: a media type without parameters")
