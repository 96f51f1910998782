"""Patients and their merges as messages."""

from __future__ import annotations

from typing import Final

from heimdallr.archive.v1 import archive_service_pb2 as pb
from services.coordinator.archive.matching import MAX_TEXT
from services.coordinator.archive.messages import study_to_proto
from services.coordinator.archive.patients import History, Merge
from services.coordinator.archive.study import PatientRecord
from services.runtime.errors import InvalidFieldError

MAX_REASON: Final = 256


def identity_from_proto(identity: pb.PatientIdentity) -> tuple[str, str]:
    """Return Patient ID and issuer.

    Raises:
        InvalidFieldError: A field breaks a rule of the contract.
    """
    if not identity.patient_id:
        raise InvalidFieldError("identity.patient_id", "not empty")
    for field in ("patient_id", "issuer_of_patient_id"):
        value = str(getattr(identity, field))
        if len(value) > MAX_TEXT or "\0" in value:
            raise InvalidFieldError(f"identity.{field}", f"at most {MAX_TEXT} characters, no NUL")
    return identity.patient_id, identity.issuer_of_patient_id


def reason_from_proto(reason: str) -> str:
    """Return why patients are merged.

    Raises:
        InvalidFieldError: Empty or too long.
    """
    if not 1 <= len(reason) <= MAX_REASON or "\0" in reason:
        raise InvalidFieldError("reason", f"1 to {MAX_REASON} characters, no NUL")
    return reason


def patient_to_proto(patient: PatientRecord) -> pb.Patient:
    """Return a patient as it goes on the wire."""
    return pb.Patient(
        patient_key=patient.patient_key,
        patient_id=patient.patient_id_text,
        issuer_of_patient_id=patient.issuer_of_patient_id,
        patient_name=patient.patient_name,
        patient_birth_date=patient.patient_birth_date,
        patient_sex=patient.patient_sex,
        study_count=patient.study_count,
        series_count=patient.series_count,
        instance_count=patient.instance_count,
    )


def history_to_proto(history: History) -> pb.GetPatientResponse:
    """Return a patient with all that is known."""
    return pb.GetPatientResponse(
        patient=patient_to_proto(history.patient),
        identities=[patient_to_proto(one) for one in history.identities],
        studies=[study_to_proto(study) for study in history.studies],
        merges=[merge_to_proto(merge) for merge in history.merges],
    )


def merge_to_proto(merge: Merge) -> pb.PatientMerge:
    """Return a merge as it goes on the wire."""
    message = pb.PatientMerge(
        merge_id=merge.merge_id,
        merged_key=merge.merged_key,
        surviving_key=merge.surviving_key,
        reason=merge.reason,
        merged_by=merge.merged_by,
        unmerged_by=merge.unmerged_by or "",
    )
    message.merge_time.FromDatetime(merge.merge_time)
    if merge.unmerge_time is not None:
        message.unmerge_time.FromDatetime(merge.unmerge_time)
    return message
