"""What is fuzzed: readers of a stranger's bytes, and the only errors they may raise.

``python -m tests.fuzz.targets NAME [libFuzzer options] [corpus folders]``
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import atheris

with atheris.instrument_imports(include=["gateway", "services.dicom", "services.deid"]):
    from gateway.commitment.commitment import read_request
    from gateway.dicomweb.multipart import MultipartError, MultipartParser
    from gateway.dimse import pdu
    from gateway.dimse.commands import decode_command
    from gateway.dimse.errors import ProtocolError
    from gateway.query_retrieve.identifier import decode_identifier
    from gateway.query_retrieve.models import PATIENT_ROOT, STUDY_ROOT
    from gateway.query_retrieve.query import IdentifierError, read_query
    from gateway.query_retrieve.selection import read_selection
    from services.deid.deidentify import Deidentifier
    from services.deid.errors import DeidRefusedError
    from services.deid.profile.options import options_of
    from services.deid.pseudonyms import Pseudonyms
    from services.dicom.attributes import read_index_attributes
    from services.dicom.errors import DicomError
    from services.dicom.part10 import split_part10

_SYNTAXES: Final = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.4.90",
)
_deidentifier = Deidentifier(options_of("research"), Pseudonyms(bytes(32)))


def upper_layer(data: bytes) -> None:
    """PDUs after their header: requests, answers, fragments, and command sets within them."""
    view = memoryview(data)
    for decode in (pdu.decode_associate_request, pdu.decode_associate_accept):
        with suppress(ProtocolError):
            decode(view)
    with suppress(ProtocolError):
        for value in pdu.pdvs(view):
            decode_command(bytes(value.data))


def identifier(data: bytes) -> None:
    """An identifier as query, retrieval and request for commitment; its syntax comes first."""
    if not data:
        return
    syntax = _SYNTAXES[data[0] % 2]
    with suppress(DicomError):
        read_request(data[1:], syntax)
    with suppress(DicomError, IdentifierError):
        found = decode_identifier(data[1:], syntax)
        read_query(found, STUDY_ROOT, relational=bool(data[0] & 2))
        read_selection(found, PATIENT_ROOT, relational=bool(data[0] & 2))


def header_walk(data: bytes) -> None:
    """A data set whose first byte says its transfer syntax."""
    if data:
        with suppress(DicomError):
            read_index_attributes(memoryview(data)[1:], _SYNTAXES[data[0] % len(_SYNTAXES)])


def dicom_file(data: bytes) -> None:
    """A DICOM file, read and de-identified; what is released is a DICOM file again."""
    try:
        released = _deidentifier.deidentify(data)
    except (DicomError, DeidRefusedError):
        return
    split_part10(b"".join(released.parts))


def multipart(data: bytes) -> None:
    """A multipart body in two pieces; where it is cut makes no difference."""
    if not data:
        return
    cut = 1 + data[0] % len(data)
    assert _events(data[1:]) == _events(data[1:cut], data[cut:])


def _events(*pieces: bytes) -> tuple[list[str], bytes] | None:
    parser = MultipartParser("b")
    names, content = [], bytearray()
    try:
        for piece in pieces:
            for event in parser.feed(piece):
                chunk = getattr(event, "data", None)
                if chunk is None:
                    names.append(type(event).__name__)
                else:
                    content += chunk
        parser.end()
    except MultipartError:
        return None
    return names, bytes(content)


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "upper_layer": upper_layer,
    "identifier": identifier,
    "header_walk": header_walk,
    "dicom_file": dicom_file,
    "multipart": multipart,
}


if __name__ == "__main__":
    name, *options = sys.argv[1:]
    atheris.Setup([name, *options], TARGETS[name])
    atheris.Fuzz()
