"""What a DICOM file is announced as when it is sent, and its bytes under that name."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.dicom.errors import DicomError, MissingElementError
from services.dicom.part10 import MAX_META_BYTES, FileMeta, file_meta, split_part10
from services.dicom.uids import TransferSyntax, require_uid, transfer_syntax
from services.dicom.walk import walk

_SOP_CLASS: Final = 0x00080016
_SOP_INSTANCE: Final = 0x00080018
_IDENTITY: Final = range(_SOP_CLASS, 0xFFFE0000)
_UID_BYTES: Final = 66


@dataclass(frozen=True, slots=True)
class Sendable:
    """A file that can be sent.

    Attributes:
        path: The file.
        meta: What it is announced as: what its data set says, else its file meta information.
        offset: Where its data set starts, in bytes.
        as_it_is: Whether its own file meta information says the same.
    """

    path: Path
    meta: FileMeta
    offset: int
    as_it_is: bool

    @property
    def context(self) -> tuple[str, str]:
        """Abstract and transfer syntax of its presentation context."""
        return self.meta.sop_class_uid, self.meta.transfer_syntax_uid


def read_sendable(path: Path) -> Sendable:
    """Read what a file is to be announced as.

    PS3.7 section 9.1.1 announces the instance by the UIDs of its data set, with which the file
    meta information may disagree where a program changed one of the two.

    Raises:
        OSError: It cannot be read.
        MissingElementError: Data set or file meta information names no SOP class or instance.
        DicomError: Not a DICOM file, or a UID is none.
    """
    with path.open("rb") as file:
        start = file.read(MAX_META_BYTES)
    meta, offset = split_part10(start)
    own = _identity(memoryview(start)[offset:], transfer_syntax(meta.transfer_syntax_uid))
    sop_class, sop_instance = own or (meta.sop_class_uid, meta.sop_instance_uid)
    if not sop_class or not sop_instance:
        raise MissingElementError("SOP class or instance")
    require_uid("SOPClassUID", sop_class)
    require_uid("SOPInstanceUID", sop_instance)
    announced = FileMeta(sop_class, sop_instance, meta.transfer_syntax_uid)
    return Sendable(path, announced, offset, announced == meta)


@contextmanager
def file_as_announced(sendable: Sendable) -> Iterator[Path]:
    """Give a file whose file meta information says what is announced: itself, or a copy."""
    if sendable.as_it_is:
        yield sendable.path
        return
    meta = sendable.meta
    with tempfile.NamedTemporaryFile(prefix="heimdallr-send-", suffix=".dcm") as copy:
        copy.write(file_meta(meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax_uid))
        with sendable.path.open("rb") as file:
            file.seek(sendable.offset)
            shutil.copyfileobj(file, copy)
        copy.flush()
        yield Path(copy.name)


def _identity(data: memoryview, syntax: TransferSyntax) -> tuple[str, str] | None:
    """Read SOP class and instance; None where they cannot be read without all of the file."""
    if syntax.deflated:
        return None
    found = {_SOP_CLASS: "", _SOP_INSTANCE: ""}
    try:
        for element in walk(data, syntax, wanted=_IDENTITY):
            if element.tag > _SOP_INSTANCE:
                break
            if element.tag in found:
                value = bytes(data[element.offset :][: min(element.length, _UID_BYTES)])
                found[element.tag] = value.decode("latin-1").strip(" \0")
    except DicomError:
        # The receiver judges a broken data set; here it only has to be named.
        return None
    return found[_SOP_CLASS], found[_SOP_INSTANCE]
