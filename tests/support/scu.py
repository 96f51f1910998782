"""A plain SCU that can be told to break rules: bytes on a socket, nothing hidden."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from gateway.dimse import pdu
from gateway.dimse.negotiation import APPLICATION_CONTEXT

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
ABORT = 0x07


def associate_request(
    contexts: Sequence[tuple[int, str, Sequence[str]]],
    *,
    called: str = "HEIMDALLR",
    version: int = 1,
    application_context: str = APPLICATION_CONTEXT,
    user_items: bytes = b"",
) -> bytes:
    """Return an A-ASSOCIATE-RQ; more items of its user information may be given."""
    items = pdu.encode_item(0x10, application_context.encode())
    for context_id, abstract, transfer in contexts:
        inner = pdu.encode_item(0x30, abstract.encode())
        inner += b"".join(pdu.encode_item(0x40, uid.encode()) for uid in transfer)
        items += pdu.encode_item(0x20, bytes((context_id, 0, 0, 0)) + inner)
    user = pdu.encode_item(0x51, (16384).to_bytes(4, "big")) + user_items
    items += pdu.encode_item(0x50, user)
    titles = called.encode().ljust(16) + b"TESTSCU".ljust(16)
    return pdu.encode(1, struct.pack(">HH", version, 0) + titles + bytes(32) + items)


def command_set(elements: dict[int, bytes]) -> bytes:
    """Return a command set with its group length."""
    body = b"".join(
        struct.pack("<HHL", 0, tag, len(value)) + value for tag, value in sorted(elements.items())
    )
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def store_command(sop_instance_uid: str, sop_class_uid: str = CT, message_id: int = 1) -> bytes:
    """Return the command set of a C-STORE-RQ."""

    def uid(text: str) -> bytes:
        value = text.encode("latin-1")
        return value + b"\0" * (len(value) % 2)

    return command_set(
        {
            0x0002: uid(sop_class_uid),
            0x0100: struct.pack("<H", 1),
            0x0110: struct.pack("<H", message_id),
            0x0700: struct.pack("<H", 0),
            0x0800: struct.pack("<H", 1),
            0x1000: uid(sop_instance_uid),
        }
    )


class Scu:
    """One connection to a provider."""

    def __init__(self, port: int, host: str = "127.0.0.1", timeout_s: float = 20.0) -> None:
        self.socket = socket.create_connection((host, port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> tuple[int, bytes]:
        """Return the type and body of the next PDU; type 0 when the connection has ended."""
        header = self._exactly(6)
        if len(header) < 6:
            return 0, b""
        return header[0], self._exactly(int.from_bytes(header[2:], "big"))

    def associate(
        self, contexts: Sequence[tuple[int, str, Sequence[str]]] = ((1, CT, (EXPLICIT,)),)
    ) -> tuple[int, bytes]:
        self.send(associate_request(contexts))
        return self.receive()

    def store(
        self,
        data_set: bytes,
        sop_instance_uid: str,
        sop_class_uid: str = CT,
        context_id: int = 1,
        fragment_bytes: int = 16000,
    ) -> int:
        """Send an instance; return its status, or -1 when the provider aborted."""
        command = store_command(sop_instance_uid, sop_class_uid)
        try:
            self.send(pdu.encode_data(context_id, command, is_command=True, is_last=True))
            self.send(b"".join(data_pdus(data_set, context_id, fragment_bytes)))
        except (BrokenPipeError, ConnectionResetError):
            return -1
        return self.status()

    def status(self) -> int:
        kind, body = self.receive()
        return status_of(body) if kind == pdu.DATA_TF else -1

    def release(self) -> int:
        """Release, and return the type of the answer."""
        self.send(pdu.encode(pdu.RELEASE_RQ, bytes(4)))
        return self.receive()[0]

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionResetError:
                break
            if not part:
                break
            data += part
        return data


def data_pdus(data_set: bytes, context_id: int = 1, fragment_bytes: int = 16000) -> list[bytes]:
    """Return the P-DATA-TF PDUs of a data set."""
    starts = range(0, max(len(data_set), 1), fragment_bytes)
    return [
        pdu.encode_data(
            context_id,
            data_set[start : start + fragment_bytes],
            is_command=False,
            is_last=start + fragment_bytes >= len(data_set),
        )
        for start in starts
    ]


def status_of(body: bytes) -> int:
    """Return Status (0000,0900) of a response in a P-DATA-TF of one fragment."""
    return _element(body, 0x0900)[0] if _element(body, 0x0900) else -1


def comment_of(body: bytes) -> str:
    """Return Error Comment (0000,0902) of a response."""
    found = body.find(struct.pack("<HH", 0, 0x0902))
    if found < 0:
        return ""
    length = struct.unpack_from("<L", body, found + 4)[0]
    return body[found + 8 : found + 8 + length].decode("ascii").strip()


def _element(body: bytes, tag: int) -> tuple[int, ...]:
    found = body.find(struct.pack("<HHL", 0, tag, 2))
    return struct.unpack_from("<H", body, found + 8) if found >= 0 else ()
