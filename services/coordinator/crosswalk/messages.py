"""Requests and links as messages."""

from __future__ import annotations

from typing import Final

from heimdallr.deid.v1 import crosswalk_service_pb2 as pb
from heimdallr.deid.v1 import deidentification_service_pb2 as deid_pb
from services.coordinator.crosswalk.reidentification import (
    MAX_PSEUDONYM,
    MAX_REASON,
    MIN_REASON,
    Link,
    PseudonymKind,
    Question,
    Reidentification,
    State,
)
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id

_KINDS: Final = {
    deid_pb.PSEUDONYM_KIND_PATIENT: PseudonymKind.PATIENT,
    deid_pb.PSEUDONYM_KIND_STUDY: PseudonymKind.STUDY,
    deid_pb.PSEUDONYM_KIND_SERIES: PseudonymKind.SERIES,
}
KIND_NUMBERS: Final = {kind: number for number, kind in _KINDS.items()}


def question_from_proto(request: pb.RequestReidentificationRequest) -> Question:
    """Return what somebody wants to know, and why.

    Raises:
        InvalidFieldError: It breaks a rule written on one of its fields.
    """
    if not is_id(request.project_id):
        raise InvalidFieldError("project_id", "one of our ids")
    pseudonym = request.pseudonym.strip()
    if not 1 <= len(pseudonym) <= MAX_PSEUDONYM or not pseudonym.isascii() or "\0" in pseudonym:
        raise InvalidFieldError("pseudonym", f"1 to {MAX_PSEUDONYM} characters")
    reason = request.reason.strip()
    if not MIN_REASON <= len(reason) <= MAX_REASON or "\0" in reason:
        raise InvalidFieldError("reason", f"{MIN_REASON} to {MAX_REASON} characters")
    return Question(request.project_id, kind_from_proto(request.kind), pseudonym, reason)


def kind_from_proto(number: deid_pb.PseudonymKind.ValueType) -> PseudonymKind:
    """Return what a pseudonym stands for.

    Raises:
        InvalidFieldError: Unspecified or unknown.
    """
    kind = _KINDS.get(number)
    if kind is None:
        raise InvalidFieldError("kind", "patient, study or series")
    return kind


def link_from_proto(message: deid_pb.SealedLink) -> Link:
    """Return what was sealed.

    Raises:
        InvalidFieldError: The kind is unspecified or unknown.
    """
    return Link(
        kind_from_proto(message.kind),
        message.pseudonym,
        message.sealed,
        message.patient_tag,
        message.key_version,
    )


def request_to_proto(found: Reidentification) -> pb.Reidentification:
    """Return a request as it goes on the wire."""
    message = pb.Reidentification(
        reidentification_id=found.reidentification_id,
        project_id=found.project_id,
        kind=KIND_NUMBERS[found.kind],
        pseudonym=found.pseudonym,
        reason=found.reason,
        requested_by=found.requested_by,
        state=_STATES[found.state],
        decided_by=found.decided_by,
        told_count=found.told_count,
    )
    message.request_time.FromDatetime(found.request_time)
    return message


_STATES: Final = {
    state: pb.ReidentificationState.Value(f"REIDENTIFICATION_STATE_{state.name}") for state in State
}
