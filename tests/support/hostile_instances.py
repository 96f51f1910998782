"""Instances that a stranger might send: each breaks, bends or abuses one rule.

An instance is its data set as it travels, with what its sender announces of it. Whether it may be
stored is fixed here: what is refused must never be stored, what is stored must be stored unharmed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

from services.dicom.part10 import file_meta
from tests.support.instances import CT, ct_instance, encoded

EXPLICIT: Final = str(ExplicitVRLittleEndian)
IMPLICIT: Final = str(ImplicitVRLittleEndian)
DEFLATED: Final = str(DeflatedExplicitVRLittleEndian)
PRIVATE: Final = b"\x09\x00\x10\x10"
PATHS: Final = ("../../../x", "tmp/evil", "..\\x", "/etc/passwd", "%2e%2e/x")
MARKUP: Final = '<script>alert(1)</script>"><img src=x onerror=alert(1)>{{7*7}}=cmd|calc'
QUERIES: Final = "'; DROP TABLE archive.study; -- %_*\\"
SHELL: Final = "$(touch /tmp/heimdallr-was-here);`id`|-rf\n"


@dataclass(frozen=True)
class HostileInstance:
    """One instance, and whether it may be stored.

    Attributes:
        name: What is wrong with it.
        data_set: Encoded data set.
        stored: True when it must be stored, False when it must be refused.
        sop_class_uid: What is announced.
        sop_instance_uid: What is announced.
        transfer_syntax_uid: What is announced.
        in_a_file: Whether it may be stored where it comes as a file, whose file meta information
            makes the announcement; None is the same as `stored`.
    """

    name: str
    data_set: bytes
    stored: bool
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str = EXPLICIT
    in_a_file: bool | None = None

    def part10(self, preamble: bytes = b"") -> bytes:
        """Return it as a DICOM file, what is announced in its file meta information."""
        announced = self.sop_instance_uid.encode("latin-1")
        # Our own writer refuses what is no UID: it is patched in.
        stand_in = "1." + "2" * (max(len(announced), 3) - 2)
        written = file_meta(self.sop_class_uid, stand_in[:64], self.transfer_syntax_uid)
        padded = announced + b"\0" * (len(stand_in[:64]) - len(announced))
        meta = written.replace(stand_in[:64].encode(), padded[: len(stand_in[:64])])
        return preamble.ljust(128, b"\0")[:128] + meta[128:] + self.data_set


def hostile_instances() -> Iterator[HostileInstance]:
    """Yield one instance for each rule, always the same ones but for new UIDs."""
    for make in (_uids, _announced, _encodings, _structures, _sizes, _texts, _others):
        yield from make()


def _case(
    name: str, *, stored: bool, change: Callable[[Dataset], object] = lambda _: None
) -> HostileInstance:
    dataset = ct_instance(size=8)
    change(dataset)
    uid = str(dataset.get("SOPInstanceUID", ""))
    return HostileInstance(name, encoded(dataset), stored, CT, uid)


def _raw(
    name: str, data: bytes, uid: str, *, stored: bool = False, syntax: str = EXPLICIT
) -> HostileInstance:
    return HostileInstance(name, data, stored, CT, uid, syntax)


def _plain() -> tuple[bytes, str]:
    dataset = ct_instance(size=8)
    return encoded(dataset), str(dataset.SOPInstanceUID)


def _element(tag: bytes, vr: bytes, value: bytes) -> bytes:
    return tag + vr + bytes(2) + struct.pack("<L", len(value)) + value


def _replace_value(keyword: str, value: bytes) -> tuple[bytes, str]:
    """Return a data set in which an element of two-byte length has other bytes."""
    dataset = ct_instance(size=8)
    uid = str(dataset.SOPInstanceUID)
    element = dataset[keyword]
    before = encoded(dataset)
    tag = struct.pack("<HH", element.tag.group, element.tag.element)
    at = before.index(tag + element.VR.encode())
    length = struct.unpack_from("<H", before, at + 6)[0]
    value += b"\0" * (len(value) % 2)
    changed = before[at : at + 6] + struct.pack("<H", len(value)) + value
    return before[:at] + changed + before[at + 8 + length :], uid


def _uids() -> Iterator[HostileInstance]:
    bad = (*(path.encode() for path in PATHS), b"1.2\x003", b"1" * 65, b"1.2.abc", b"")
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        for number, value in enumerate(bad):
            data, uid = _replace_value(keyword, value)
            yield _raw(f"{keyword} that is no UID, {number}", data, uid)
    for number, path in enumerate(PATHS):
        data, _ = _replace_value("SOPInstanceUID", path.encode())
        yield _raw(f"SOP Instance UID announced that is no UID, {number}", data, path)
        data, uid = _replace_value("PatientID", path.encode())
        yield _raw(f"Patient ID that is a path, {number}", data, uid, stored=True)


def _announced() -> Iterator[HostileInstance]:
    data, _ = _plain()
    other = str(generate_uid())
    yield HostileInstance("another SOP Instance UID than announced", data, False, CT, other)
    data, uid = _plain()
    mr = "1.2.840.10008.5.1.4.1.1.4"
    yield HostileInstance("another SOP class than announced", data, False, mr, uid)


def _encodings() -> Iterator[HostileInstance]:
    dataset = ct_instance(size=8)
    uid = str(dataset.SOPInstanceUID)
    yield _raw("implicit VR under the name of explicit", encoded(dataset, implicit=True), uid)
    yield _raw("explicit VR under the name of implicit", encoded(dataset), uid, syntax=IMPLICIT)
    data, uid = _plain()
    yield _raw("no deflated stream under the name of one", data, uid, syntax=DEFLATED)
    for tenth in range(1, 10):
        data, uid = _plain()
        yield _raw(f"cut off at {tenth} tenths", data[: len(data) * tenth // 10], uid)
    for length in (1 << 16, 1 << 24, 0xFFFFFFFE):
        data, uid = _plain()
        at = data.index(b"\xe0\x7f\x10\x00")
        data = data[: at + 8] + struct.pack("<L", length) + data[at + 12 :]
        yield _raw(f"{length} bytes of pixels promised and not sent", data, uid)
    bomb = _deflated(bytes(600 << 20))
    yield _raw(
        "a deflated stream that grows a thousandfold", bomb, str(generate_uid()), syntax=DEFLATED
    )


def _deflated(content: bytes) -> bytes:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    return squeeze.compress(content) + squeeze.flush()


def _structures() -> Iterator[HostileInstance]:
    begin, end = b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"
    sequence = PRIVATE + b"SQ\x00\x00\xff\xff\xff\xff"
    close = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    for depth in (500, 100_000):
        yield _with_private(
            f"sequences {depth} deep", (sequence + begin) * depth + (end + close) * depth
        )
    empty = b"\xfe\xff\x00\xe0\x00\x00\x00\x00"
    yield _with_private("a million empty items", sequence + empty * 1_000_000 + close)
    many = b"".join(
        _element(struct.pack("<HH", 0x0009, n), b"UN", b"") for n in range(0x1100, 0xF000)
    )
    items = sequence + (begin + many + end) * 3 + close
    yield _with_private("a hundred and seventy thousand elements", items)
    data, uid = _plain()
    twice = data.index(b"\x10\x00\x20\x00LO")
    length = 8 + struct.unpack_from("<H", data, twice + 6)[0]
    data = data[: twice + length] + data[twice:]
    yield _raw("Patient ID that stands twice", data, uid)


def _with_private(name: str, elements: bytes) -> HostileInstance:
    data, uid = _plain()
    at = data.index(b"\x10\x00\x10\x00PN")
    return _raw(name, data[:at] + elements + data[at:], uid)


def _sizes() -> Iterator[HostileInstance]:
    def huge(dataset: Dataset) -> None:
        dataset.Rows = dataset.Columns = 65535
        dataset.NumberOfFrames = 999_999

    yield _case("pixels that would fill petabytes", stored=False, change=huge)
    dataset = ct_instance(size=8)
    uid = str(dataset.SOPInstanceUID)
    short = b"\x28\x00\x10\x00US\x02\x00\x08\x00"
    data = encoded(dataset).replace(short, b"\x28\x00\x10\x00UL\x04\x00\x08\x00\x00\x00")
    yield _raw("Rows as a long", data, uid)

    def odd_bits(dataset: Dataset) -> None:
        dataset.BitsStored = 33
        dataset.HighBit = 255

    yield _case("more bits stored than allocated", stored=True, change=odd_bits)


def _texts() -> Iterator[HostileInstance]:
    for name, text in (("markup", MARKUP), ("a query", QUERIES), ("a command", SHELL)):
        data, uid = _replace_value("PatientName", text.encode())
        yield _raw(f"Patient's Name that is {name}", data, uid, stored=True)
        data, uid = _replace_value("PatientID", text.encode())
        yield _raw(f"Patient ID that is {name}", data, uid, stored=True)
    for name, value in {
        "bytes of no character set": b"\xff\xfe\xc3\x28",
        "a NUL": b"A\x00B",
        "a right-to-left override": "A\u202etxt.exe".encode(),
        "a thousand values": b"\\".join([b"A"] * 1000),
        "ten thousand characters": b"N" * 10_000,
    }.items():
        data, uid = _replace_value("PatientName", value)
        yield _raw(f"Patient's Name of {name}", data, uid, stored=True)

    def not_numbers(dataset: Dataset) -> None:
        dataset.add_new("PatientComments", "LT", "x")
        dataset.PixelSpacing = [1.0, 1.0]

    data = encoded(_changed(not_numbers)).replace(b"1.0\\1.0 ", b"NaN\\1e99")
    yield _raw("spacing that is no number", data, _uid_in(data), stored=True)


def _changed(change: Callable[[Dataset], None]) -> Dataset:
    dataset = ct_instance(size=8)
    change(dataset)
    return dataset


def _uid_in(data: bytes) -> str:
    at = data.index(b"\x08\x00\x18\x00UI")
    length = struct.unpack_from("<H", data, at + 6)[0]
    return data[at + 8 : at + 8 + length].rstrip(b"\0").decode("ascii")


def _others() -> Iterator[HostileInstance]:
    data, uid = _plain()
    yield _raw("a group length of the command set inside", b"\0\0\0\0UL\x04\0\0\0\0\0" + data, uid)
    data, uid = _plain()
    more_meta = b"\x02\0\x01\0OB\0\0\x02\0\0\0\0\1"
    yield HostileInstance(
        "file meta information inside", more_meta + data, False, CT, uid, in_a_file=True
    )
    for name, content in {
        "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "a program": b"\x7fELF" + bytes(100),
        "a page": b"<!doctype html><script>alert(1)</script>",
        "nothing": b"",
    }.items():
        yield _raw(f"{name} in place of a data set", content, str(generate_uid()))
