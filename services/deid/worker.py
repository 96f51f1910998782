"""The program that treats objects, in a process with limits that may die of a hostile one.

Lines of JSON come on stdin: ``{"orders": ...}`` says how objects are treated from now on, and any
other line is a task. A task is answered on stdout with a line ``{..., "bytes": n}`` and n bytes.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import sys
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, BinaryIO, Final

from services.deid.approvals import Approvals
from services.deid.comparison import compare
from services.deid.deidentify import Released
from services.deid.destination import from_json
from services.deid.errors import DeidRefusedError
from services.deid.finding_text import boxes_of, finding
from services.deid.links import links_of
from services.deid.orders import Orders
from services.dicom.errors import DicomError
from services.runtime.errors import StorageFullError

Answer = tuple[dict[str, Any], Sequence[bytes | memoryview]]
_UNREADABLE: Final = DeidRefusedError("UNREADABLE", "", "the object cannot be read")


class Worker:
    """Does tasks under orders.

    Args:
        orders: How objects are treated.
    """

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._deidentifier = orders.deidentifier()

    def do(self, task: dict[str, Any]) -> Answer:
        """Do a task; whatever an object holds, there is an answer."""
        try:
            with _mapped(task["path"]) as file:
                if "frame" in task:
                    return self._drawn(task, file)
                return (
                    self._treated(task, file) if "approved" in task else self._compared(task, file)
                )
        except FileNotFoundError:
            return {"failed": "missing"}, ()
        except StorageFullError:
            return {"failed": "full"}, ()

    def _treated(self, task: dict[str, Any], file: memoryview) -> Answer:
        approvals = Approvals(task["approved"])
        try:
            released = self._deidentifier.deidentify(file, approvals)
        except Exception as error:  # readers and decoders fail in any way they like
            return _held(error, file, task), ()
        if released.source_sha256 != task["source_sha256"]:
            return {"failed": "corrupt"}, ()
        from_json(task["destination"]).write(released.parts, released.sha256)
        approved = sorted({one.code for one in approvals.findings})
        return {**_said(released, self._orders), "approved": approved}, ()

    def _drawn(self, task: dict[str, Any], file: memoryview) -> Answer:
        from services.deid.outbound.picture import picture_of

        try:
            released = self._deidentifier.deidentify(file)
            if released.source_sha256 != task["source_sha256"]:
                return {"failed": "corrupt"}, ()
            picture = picture_of(b"".join(released.parts), task["frame"])
        except Exception as error:  # as above
            return _held(error, file, task), ()
        return {"boxes": [asdict(box) for box in released.boxes]}, (picture,)

    def _compared(self, task: dict[str, Any], file: memoryview) -> Answer:
        try:
            found = compare(self._deidentifier, file, reveal=task["reveal"])
        except Exception as error:  # as above
            return _held(error, file, task), ()
        if hashlib.sha256(file).hexdigest() != task["source_sha256"]:
            return {"failed": "corrupt"}, ()
        return {}, (json.dumps(found.as_json).encode("ascii"),)


def _said(released: Released, orders: Orders) -> dict[str, Any]:
    return {
        "source_sha256": released.source_sha256,
        "sha256": released.sha256,
        "size_bytes": sum(map(len, released.parts)),
        "sop_instance_uid": released.sop_instance_uid,
        "study_instance_uid": released.study_instance_uid,
        "series_instance_uid": released.series_instance_uid,
        "sought": released.sought,
        "boxes": [asdict(box) for box in released.boxes],
        "links": [
            [one.kind, one.pseudonym, b64encode(one.sealed).decode(), one.patient_tag, one.version]
            for one in links_of(released, orders)
        ],
    }


def _held(error: Exception, file: memoryview, task: dict[str, Any]) -> dict[str, Any]:
    if hashlib.sha256(file).hexdigest() != task["source_sha256"]:
        return {"failed": "corrupt"}
    return {
        "held": [_why(error)],
        "boxes": [asdict(box) for box in boxes_of(error)],
    }


def _why(error: Exception) -> dict[str, str]:
    if isinstance(error, DicomError):
        error = DeidRefusedError("INVALID_DICOM", error.field, error.rule)
    return finding(error if isinstance(error, DeidRefusedError) else _UNREADABLE)


@contextmanager
def _mapped(path: str) -> Iterator[memoryview]:
    """Give a file's bytes without reading them into memory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        # What of an answer still points into the map keeps it; so it is not closed here.
        yield memoryview(mmap.mmap(descriptor, size, prot=mmap.PROT_READ) if size else b"")
    finally:
        os.close(descriptor)


def answer(task: dict[str, Any], worker: Worker, out: BinaryIO) -> None:
    """Do a task and write what it gives."""
    said, parts = worker.do(task)
    said["bytes"] = sum(map(len, parts))
    out.write(json.dumps(said).encode("ascii") + b"\n")
    out.writelines(parts)
    out.flush()


def main() -> None:
    """Work until stdin ends."""
    out = sys.stdout.buffer
    # A library that prints must not break into the answers.
    sys.stdout = sys.stderr
    worker: Worker | None = None
    for line in sys.stdin.buffer:
        given = json.loads(line)
        if "orders" in given:
            worker = Worker(Orders.from_json(given["orders"]))
        elif worker is not None:
            answer(given, worker, out)


if __name__ == "__main__":
    main()
