"""What a DICOMDIR refers to (PS3.3 F.3, PS3.10 section 8)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

from services.dicom.encoding import Buffer
from services.dicom.part10 import split_part10
from services.dicom.uids import transfer_syntax
from services.dicom.walk import walk

MAX_DIRECTORY_BYTES: Final = 64 << 20
_REFERENCED_FILE_ID: Final = 0x00041500
_LONGEST_ID: Final = 1024
_COMPONENT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,63}", re.ASCII)
"""PS3.10 8.2 allows capitals, digits and underscores; writers in use take more."""


@dataclass(frozen=True, slots=True)
class References:
    """Files that a DICOMDIR names.

    Attributes:
        paths: Their names below the folder of the DICOMDIR, as `file_key` makes them.
        refused_count: References that do not stay in that folder, or are no names.
    """

    paths: frozenset[bytes]
    refused_count: int


@dataclass(slots=True)
class Located:
    """Names of the files of an archive, kept as short hashes."""

    keys: set[bytes] = field(default_factory=set)

    def add(self, name: bytes) -> None:
        """Note the name of an entry."""
        self.keys.add(file_key(name.decode("utf-8", "replace").replace("\\", "/").split("/")))


def read_references(file: Buffer, folder: bytes) -> References:
    """Return what a DICOMDIR refers to; no reference leads out of its folder.

    Args:
        file: The DICOMDIR as a DICOM file.
        folder: Name of the folder it lies in within the archive; empty at its root.

    Raises:
        DicomError: It cannot be read.
    """
    meta, offset = split_part10(file)
    data = memoryview(file)[offset:]
    syntax = transfer_syntax(meta.transfer_syntax_uid)
    above = [part for part in folder.decode("utf-8", "replace").split("/") if part]
    paths: set[bytes] = set()
    refused = 0
    for element in walk(data, syntax, wanted={_REFERENCED_FILE_ID}, nested=True):
        value = bytes(data[element.offset :][: min(element.length, _LONGEST_ID + 1)])
        components = _components(value)
        if components is None:
            refused += 1
        elif components:
            paths.add(file_key([*above, *components]))
    return References(frozenset(paths), refused)


def file_key(components: list[str]) -> bytes:
    """Return a short hash of a file's name; case does not matter (PS3.10 8.2)."""
    name = "/".join(part for part in components if part not in ("", ".")).upper()
    return hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).digest()


def _components(value: bytes) -> list[str] | None:
    """Return the components of a ReferencedFileID; None where it is not safe to follow."""
    if len(value) > _LONGEST_ID:
        return None
    parts = [part.strip(" \0") for part in value.decode("latin-1").split("\\")]
    if parts == [""]:
        return []
    safe = all(_COMPONENT.fullmatch(part) and part.strip(".") for part in parts)
    return parts if safe else None
