"""One object treated: by a process, within limits, its outcome stored or refused."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.deid.certificate import Entry
from services.deid.links import SealedLink
from services.deid.orders import Orders
from services.deid.processes import Answer, Processes, ProcessFailedError
from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobWriter
from services.runtime.errors import BlobCorruptError, BlobNotFoundError

RELEASED: Final = "released"
MEDIA_TYPE: Final = "application/dicom"
_RULES: Final = {
    "PROCESS_DIED": "the process that read the object died of it",
    "PROCESS_NOT_STARTED": "no process could be started to read the object",
    "TIME_LIMIT": "the object takes longer to treat than is allowed",
    "OBJECT_TOO_LARGE": "the object is larger than is allowed",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Why an object is held.

    Attributes:
        code: Stable code.
        element: Path of tags and item numbers; empty for the object as a whole.
        rule: In a sentence without values.
    """

    code: str
    element: str
    rule: str


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a frame, in pixels from the top left.

    Attributes:
        frame: From 1.
        x: Left edge.
        y: Top edge.
        width: Width.
        height: Height.
        code: Why it was blanked or held.
    """

    frame: int
    x: int
    y: int
    width: int
    height: int
    code: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an object.

    Attributes:
        entry: For the certificate.
        released: Where it lies without identity; None when it is held.
        sop_instance_uid: Its new UID; empty when it is held, as are the next two.
        study_instance_uid: Its new Study Instance UID.
        series_instance_uid: Its new Series Instance UID.
        findings: Why it is held; empty when it is released.
        boxes: Where pixels were blanked, or text was found.
        links: For the crosswalk.
    """

    entry: Entry
    released: BlobRef | None = None
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    findings: Sequence[Finding] = ()
    boxes: Sequence[Box] = ()
    links: Sequence[SealedLink] = ()


Sink = Callable[[], AbstractAsyncContextManager[BlobWriter]]
"""Opens a writer for the bytes of one released object; what is not committed is dropped."""


class Treating:
    """Treats objects under the orders of one call.

    Args:
        processes: Do it.
        orders: How.
        sink: Takes what is released.
        object_bytes: Largest object.
    """

    def __init__(self, processes: Processes, orders: Orders, sink: Sink, object_bytes: int) -> None:
        self._processes = processes
        self._orders = orders
        self._sink = sink
        self._object_bytes = object_bytes

    async def treat(self, path: Path, source: BlobRef, approved: Sequence[str] = ()) -> Outcome:
        """Treat the object in a file.

        Raises:
            BlobNotFoundError: There is no such file.
            BlobCorruptError: It holds other bytes than its hash promises.
            StorageFullError: No room for the outcome.
        """
        if source.size_bytes > self._object_bytes:
            return held(source.sha256, [_finding("OBJECT_TOO_LARGE")])
        task = {"path": str(path), "approved": sorted(approved)}
        try:
            return await self._tried(task, source)
        except ProcessFailedError as error:
            if error.code != "PROCESS_DIED":
                return held(source.sha256, [_finding(error.code)])
        # It may have been killed for what it did before, or by an operator.
        try:
            return await self._tried(task, source)
        except ProcessFailedError as error:
            return held(source.sha256, [_finding(error.code)])

    async def _tried(self, task: dict[str, Any], source: BlobRef) -> Outcome:
        async with self._processes.doing(self._orders, task) as answer:
            said = answer.said
            check_source(said, source.sha256)
            if "held" in said:
                return held(source.sha256, [Finding(**one) for one in said["held"]])
            ref = await self._stored(answer)
        return _released(said, ref)

    async def _stored(self, answer: Answer) -> BlobRef:
        async with self._sink() as writer:
            async for chunk in answer.chunks():
                await writer.write(chunk)
            ref = await writer.commit()
        if ref.sha256 != answer.said["sha256"]:
            raise BlobCorruptError(ref.sha256)
        return ref


def check_source(said: dict[str, Any], sha256: str) -> None:
    """Refuse what a process says of other bytes than were meant.

    Raises:
        BlobNotFoundError: It found none.
        BlobCorruptError: It found others.
    """
    if "missing" in said:
        raise BlobNotFoundError(sha256)
    if said["source_sha256"] != sha256:
        raise BlobCorruptError(sha256)


def held(source_sha256: str, findings: Sequence[Finding]) -> Outcome:
    """Return the outcome of an object that is held."""
    return Outcome(Entry(source_sha256, "", findings[0].code, 0), findings=findings)


def _finding(code: str) -> Finding:
    return Finding(code, "", _RULES[code])


def _released(said: dict[str, Any], ref: BlobRef) -> Outcome:
    return Outcome(
        Entry(said["source_sha256"], ref.sha256, RELEASED, said["sought"]),
        ref,
        said["sop_instance_uid"],
        said["study_instance_uid"],
        said["series_instance_uid"],
        boxes=[Box(**box) for box in said["boxes"]],
        links=[
            SealedLink(kind, pseudonym, b64decode(sealed), tag, version)
            for kind, pseudonym, sealed, tag, version in said["links"]
        ],
    )
