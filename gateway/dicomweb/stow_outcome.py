"""The answer to STOW-RS: what became of each instance (PS3.18 section 10.5.3, Annex I.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from gateway.dicomweb.archive import Target
from gateway.dicomweb.qido_json import retrieve_url
from gateway.handover import Disposition
from gateway.staging import StagedInstance

PROCESSING_FAILURE: Final = 0x0110
DUPLICATE: Final = 0x0111
OUT_OF_RESOURCES: Final = 0xA700
MISMATCH: Final = 0xA900
NOT_UNDERSTOOD: Final = 0xC000


@dataclass(frozen=True, slots=True)
class Failed:
    """An instance that was not taken; UIDs are "" where they could not be read."""

    sop_class_uid: str
    sop_instance_uid: str
    reason: int


@dataclass(slots=True)
class StowOutcome:
    """What became of the instances of one request, in the order in which they were judged."""

    stored: list[tuple[StagedInstance, Disposition]] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)

    @property
    def status(self) -> HTTPStatus:
        """Status of the answer."""
        conflicts = any(what is Disposition.CONFLICT for _, what in self.stored)
        if self.stored:
            return HTTPStatus.ACCEPTED if self.failed or conflicts else HTTPStatus.OK
        if all(failure.reason == OUT_OF_RESOURCES for failure in self.failed):
            return HTTPStatus.SERVICE_UNAVAILABLE
        return HTTPStatus.CONFLICT

    def to_json(self, root: str, study: str) -> dict[str, Any]:
        """Return the Store Instances Response Module in the DICOM JSON Model.

        Args:
            root: URL of the service.
            study: Study Instance UID of the address; "" where it names none.
        """
        content: dict[str, Any] = {}
        studies = {staged.attributes.study_instance_uid for staged, _ in self.stored}
        if study or len(studies) == 1:
            url = retrieve_url(root, Target(study or studies.pop()))
            content["00081190"] = {"vr": "UR", "Value": [url]}
        named = [f for f in self.failed if f.sop_class_uid and f.sop_instance_uid]
        other = [f for f in self.failed if f not in named]
        if named:
            content["00081198"] = {"vr": "SQ", "Value": [_failed(f) for f in named]}
        if self.stored:
            items = [_stored(staged, what, root) for staged, what in self.stored]
            content["00081199"] = {"vr": "SQ", "Value": items}
        if other:
            items = [{"00081197": _short(f.reason)} for f in other]
            content["0008119A"] = {"vr": "SQ", "Value": items}
        return content


def _stored(staged: StagedInstance, what: Disposition, root: str) -> dict[str, Any]:
    found = staged.attributes
    target = Target(found.study_instance_uid, found.series_instance_uid, found.sop_instance_uid)
    item = {
        "00081150": _uid(found.sop_class_uid),
        "00081155": _uid(found.sop_instance_uid),
        "00081190": {"vr": "UR", "Value": [retrieve_url(root, target)]},
    }
    if what is Disposition.CONFLICT:
        item["00081196"] = _short(DUPLICATE)
    return item


def _failed(failure: Failed) -> dict[str, Any]:
    return {
        "00081150": _uid(failure.sop_class_uid),
        "00081155": _uid(failure.sop_instance_uid),
        "00081197": _short(failure.reason),
    }


def _uid(uid: str) -> dict[str, Any]:
    return {"vr": "UI", "Value": [uid]}


def _short(number: int) -> dict[str, Any]:
    return {"vr": "US", "Value": [number]}
