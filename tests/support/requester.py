"""A plain DIMSE client for tests of services: any command, any data set, PDU by PDU."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

from pydicom import config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.filewriter import dcmwrite
from pydicom.tag import Tag

from gateway.dimse import pdu
from tests.support.scu import Scu, command_set, data_pdus

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


@dataclass
class Message:
    """A message that came: its command set by element, and its data set."""

    context_id: int
    elements: dict[int, bytes]
    data_set: bytes

    def number(self, element: int) -> int:
        """Return an element of VR US; -1 if absent."""
        value = self.elements.get(element, b"")
        return struct.unpack("<H", value)[0] if len(value) == 2 else -1

    def text(self, element: int) -> str:
        """Return an element as text."""
        return self.elements.get(element, b"").decode("ascii").strip("\0 ")

    @property
    def status(self) -> int:
        """Status (0000,0900)."""
        return self.number(0x0900)

    def decoded(self, syntax: str = EXPLICIT) -> Dataset:
        """Return the data set."""
        return decoded(self.data_set, syntax)


class Requester(Scu):
    """Sends requests of any service over one association."""

    def request(
        self,
        field: int,
        sop_class_uid: str,
        data_set: bytes = b"",
        *,
        context_id: int = 1,
        message_id: int = 7,
        more: Mapping[int, bytes] | None = None,
    ) -> None:
        """Send a request; with a requested SOP class where its command says so."""
        affected = 0x0003 if field in (0x0110, 0x0120, 0x0130) else 0x0002
        command = command_set(
            {
                affected: _padded(sop_class_uid),
                0x0100: struct.pack("<H", field),
                0x0110: struct.pack("<H", message_id),
                0x0700: struct.pack("<H", 0),
                0x0800: struct.pack("<H", 1 if data_set else 0x0101),
                **(more or {}),
            }
        )
        self.send(pdu.encode_data(context_id, command, is_command=True, is_last=True))
        if data_set:
            self.send(b"".join(data_pdus(data_set, context_id)))

    def cancel(self, message_id: int = 7, context_id: int = 1) -> None:
        """Send a C-CANCEL."""
        command = command_set(
            {
                0x0100: struct.pack("<H", 0x0FFF),
                0x0120: struct.pack("<H", message_id),
                0x0800: struct.pack("<H", 0x0101),
            }
        )
        self.send(pdu.encode_data(context_id, command, is_command=True, is_last=True))

    def answer(self, request: Message, status: int = 0) -> None:
        """Answer a request that came."""
        command = command_set(
            {
                0x0002: request.elements[0x0002],
                0x0100: struct.pack("<H", request.number(0x0100) | 0x8000),
                0x0120: request.elements[0x0110],
                0x0800: struct.pack("<H", 0x0101),
                0x0900: struct.pack("<H", status),
                0x1000: request.elements[0x1000],
            }
        )
        self.send(pdu.encode_data(request.context_id, command, is_command=True, is_last=True))

    def message(self) -> Message:
        """Return the next message; fails when the association ended instead."""
        parts: dict[bool, bytes] = {True: b"", False: b""}
        wanted, context_id = {True}, 0
        elements: dict[int, bytes] = {}
        while wanted:
            kind, body = self.receive()
            assert kind == pdu.DATA_TF, f"PDU of type {kind}"
            for value in pdu.pdvs(memoryview(body)):
                context_id = value.context_id
                parts[value.is_command] += bytes(value.data)
                if value.is_last:
                    wanted.discard(value.is_command)
                    if value.is_command:
                        elements = _elements(parts[True])
                        if elements[0x0800] != b"\x01\x01":
                            wanted.add(False)
        return Message(context_id, elements, parts[False])

    def answers(self) -> list[Message]:
        """Return responses up to the last one, whose status is not pending."""
        found = [self.message()]
        while found[-1].status in (0xFF00, 0xFF01):
            found.append(self.message())
        return found


def identifier(syntax: str = EXPLICIT, **keys: str | list[str] | None) -> bytes:
    """Return an encoded identifier."""
    dataset = Dataset()
    for keyword, value in keys.items():
        vr = dictionary_VR(keyword)
        # What a client sends need not be valid.
        dataset.add(DataElement(Tag(keyword), vr, value, validation_mode=config.IGNORE))
    return encoded(dataset, syntax)


def encoded(dataset: Dataset, syntax: str = EXPLICIT) -> bytes:
    """Return an encoded data set."""
    buffer = BytesIO()
    dcmwrite(
        buffer,
        dataset,
        implicit_vr=syntax == IMPLICIT,
        little_endian=True,
        enforce_file_format=False,
    )
    return buffer.getvalue()


def decoded(data: bytes, syntax: str = EXPLICIT) -> Dataset:
    """Return a data set."""
    return read_dataset(BytesIO(data), is_implicit_VR=syntax == IMPLICIT, is_little_endian=True)


def _elements(data: bytes) -> dict[int, bytes]:
    found, offset = {}, 0
    while offset < len(data):
        _, element, length = struct.unpack_from("<HHL", data, offset)
        found[element] = data[offset + 8 : offset + 8 + length]
        offset += 8 + length
    return found


def _padded(uid: str) -> bytes:
    value = uid.encode("ascii")
    return value + b"\0" * (len(value) % 2)
