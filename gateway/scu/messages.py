"""DIMSE exchanges as messages of their contract, and back."""

from __future__ import annotations

from typing import Final

from gateway.peers.outcome import Sent, StoreOutcome
from gateway.scu.client import Fetched
from gateway.scu.find import MAX_MATCHES, Query
from gateway.scu.identifier import Key, Level, Model, RetrieveKeys
from gateway.scu.move import MoveProgress
from gateway.scu.sending import Verification
from gateway.scu.verify import Verified
from heimdallr.dimse.v1 import dimse_service_pb2 as pb
from services.runtime.errors import InvalidFieldError

_MAX_FAILED: Final = 1_000
_MODELS: Final = {
    pb.INFORMATION_MODEL_UNSPECIFIED: Model.STUDY_ROOT,
    pb.INFORMATION_MODEL_STUDY_ROOT: Model.STUDY_ROOT,
    pb.INFORMATION_MODEL_PATIENT_ROOT: Model.PATIENT_ROOT,
    pb.INFORMATION_MODEL_MODALITY_WORKLIST: Model.MODALITY_WORKLIST,
}
_LEVELS: Final = {
    pb.QUERY_LEVEL_PATIENT: Level.PATIENT,
    pb.QUERY_LEVEL_STUDY: Level.STUDY,
    pb.QUERY_LEVEL_SERIES: Level.SERIES,
    pb.QUERY_LEVEL_IMAGE: Level.IMAGE,
}
_LEVEL_KEYS: Final = {
    Level.PATIENT: "PatientID",
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.IMAGE: "SOPInstanceUID",
}
_VERIFICATIONS: Final = {
    pb.VERIFICATION_UNSPECIFIED: Verification.NONE,
    pb.VERIFICATION_COUNT: Verification.COUNT,
    pb.VERIFICATION_COMMITMENT: Verification.COMMITMENT,
}
_OUTCOMES: Final = {
    StoreOutcome.STORED: pb.STORE_OUTCOME_STORED,
    StoreOutcome.WARNING: pb.STORE_OUTCOME_WARNING,
    StoreOutcome.REFUSED: pb.STORE_OUTCOME_REFUSED,
    StoreOutcome.NOT_SENT: pb.STORE_OUTCOME_NOT_SENT,
}


def query_from_proto(request: pb.FindMatchesRequest) -> Query:
    """Return a query; unique keys of its level and above are always asked for.

    Raises:
        InvalidFieldError: Field and rule that is broken.
    """
    model = model_from_proto(request.model)
    limit = request.limit or MAX_MATCHES
    if not 1 <= limit <= MAX_MATCHES:
        raise InvalidFieldError("limit", f"0 to {MAX_MATCHES}")
    keys = [Key(key.keyword, key.value) for key in request.keys]
    if model is Model.MODALITY_WORKLIST:
        if request.level:
            raise InvalidFieldError("level", "unspecified for the worklist")
        return Query(model, None, keys, limit)
    level = level_from_proto(request.level)
    if level is Level.PATIENT and model is not Model.PATIENT_ROOT:
        raise InvalidFieldError("level", "patients in the patient root alone")
    given = {key.keyword for key in keys}
    order = list(Level)
    above = order[: order.index(level) + 1]
    if model is Model.STUDY_ROOT:
        above = above[1:]
    asked = [Key(_LEVEL_KEYS[at]) for at in above if _LEVEL_KEYS[at] not in given]
    return Query(model, level, [*asked, *keys], limit)


def model_from_proto(value: pb.InformationModel.ValueType) -> Model:
    """Return an information model.

    Raises:
        InvalidFieldError: It is unknown.
    """
    model = _MODELS.get(value)
    if model is None:
        raise InvalidFieldError("model", "a known model")
    return model


def level_from_proto(value: pb.QueryLevel.ValueType, field: str = "level") -> Level:
    """Return a level.

    Raises:
        InvalidFieldError: It is unspecified or unknown.
    """
    level = _LEVELS.get(value)
    if level is None:
        raise InvalidFieldError(field, "patient, study, series or image")
    return level


def retrieve_keys_from_proto(message: pb.RetrieveKeys) -> RetrieveKeys:
    """Return what is to be retrieved.

    Raises:
        InvalidFieldError: The level is unspecified or unknown.
    """
    return RetrieveKeys(
        level=level_from_proto(message.level, "keys.level"),
        patient_id=message.patient_id,
        study_instance_uids=tuple(message.study_instance_uids),
        series_instance_uids=tuple(message.series_instance_uids),
        sop_instance_uids=tuple(message.sop_instance_uids),
    )


def verification_from_proto(value: pb.Verification.ValueType) -> Verification:
    """Return how sending is verified.

    Raises:
        InvalidFieldError: It is unknown.
    """
    verification = _VERIFICATIONS.get(value)
    if verification is None:
        raise InvalidFieldError("verification", "a known way")
    return verification


def sent_to_proto(sent: Sent) -> pb.StoredInstance:
    """Return what became of an instance as a message."""
    return pb.StoredInstance(
        sop_instance_uid=sent.sop_instance_uid,
        outcome=_OUTCOMES[sent.outcome],
        status=sent.status,
        reason=sent.reason,
    )


def verified_to_proto(verified: Verified) -> pb.VerificationOutcome:
    """Return what a verification found as a message."""
    return pb.VerificationOutcome(
        verified=verified.whole,
        verified_count=verified.count,
        failed_sop_instance_uids=verified.failed_uids[:_MAX_FAILED],
        text=verified.text,
    )


def move_to_proto(progress: MoveProgress) -> pb.MoveInstancesResponse:
    """Return what a peer tells of a move as a message."""
    return pb.MoveInstancesResponse(
        remaining_count=progress.remaining,
        completed_count=progress.completed,
        failed_count=progress.failed,
        warning_count=progress.warning,
        failed_sop_instance_uids=progress.failed_uids,
    )


def fetched_to_proto(fetched: Fetched) -> pb.GetInstancesResponse:
    """Return how far a C-GET is as a message."""
    return pb.GetInstancesResponse(
        remaining_count=fetched.remaining,
        stored_count=fetched.stored,
        known_count=fetched.known,
        failed_count=fetched.failed,
    )
