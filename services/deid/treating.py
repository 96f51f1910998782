"""One object treated: by a process, within limits, its outcome stored or refused."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.deid.certificate import Entry
from services.deid.destination import MEDIA_TYPE, Destination
from services.deid.links import SealedLink
from services.deid.orders import Orders
from services.deid.pixels.text import Box
from services.deid.processes import Processes, ProcessFailedError
from services.runtime.blob_ref import BlobRef
from services.runtime.errors import BlobCorruptError, BlobNotFoundError, StorageFullError

RELEASED: Final = "released"
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


class Treating:
    """Treats objects under the orders of one call.

    Args:
        processes: Do it.
        orders: How.
        object_bytes: Largest object.
    """

    def __init__(self, processes: Processes, orders: Orders, object_bytes: int) -> None:
        self._processes = processes
        self._orders = orders
        self._object_bytes = object_bytes

    async def treat(
        self, path: Path, source: BlobRef, destination: Destination, approved: Sequence[str] = ()
    ) -> Outcome:
        """Treat the object in a file.

        Args:
            path: The file.
            source: What it must hold.
            destination: Takes what is released.
            approved: Codes of findings that a person approved.

        Raises:
            BlobNotFoundError: There is no such file.
            BlobCorruptError: It holds other bytes than its hash promises.
            StorageFullError: No room for the outcome.
        """
        if source.size_bytes > self._object_bytes:
            return held(source.sha256, [_finding("OBJECT_TOO_LARGE")])
        task = {
            "path": str(path),
            "source_sha256": source.sha256,
            "approved": sorted(approved),
            "destination": destination.as_json,
        }
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
            findings = [Finding(**one) for one in said["held"]]
            return held(source.sha256, findings, [Box(**box) for box in said["boxes"]])
        return _released(said)


def check_source(said: dict[str, Any], sha256: str) -> None:
    """Refuse what a process says of other bytes than were meant, or that it has no room.

    Raises:
        BlobNotFoundError: It found none.
        BlobCorruptError: It found others.
        StorageFullError: No room for the outcome.
    """
    if said.get("failed") == "missing":
        raise BlobNotFoundError(sha256)
    if said.get("failed") == "corrupt":
        raise BlobCorruptError(sha256)
    if said.get("failed") == "full":
        raise StorageFullError


def held(source_sha256: str, findings: Sequence[Finding], boxes: Sequence[Box] = ()) -> Outcome:
    """Return the outcome of an object that is held."""
    return Outcome(Entry(source_sha256, "", findings[0].code, 0), findings=findings, boxes=boxes)


def _finding(code: str) -> Finding:
    return Finding(code, "", _RULES[code])


def _released(said: dict[str, Any]) -> Outcome:
    return Outcome(
        Entry(
            source_sha256=said["source_sha256"],
            sha256=said["sha256"],
            outcome=RELEASED,
            sought=said["sought"],
            approved=tuple(said["approved"]),
        ),
        BlobRef(said["sha256"], said["size_bytes"], MEDIA_TYPE),
        said["sop_instance_uid"],
        said["study_instance_uid"],
        said["series_instance_uid"],
        boxes=[Box(**box) for box in said["boxes"]],
        links=[
            SealedLink(kind, pseudonym, b64decode(sealed), tag, version)
            for kind, pseudonym, sealed, tag, version in said["links"]
        ],
    )
