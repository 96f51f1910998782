"""Attributes of a Modality Performed Procedure Step as messages (PS3.4 Table F.7.2-1)."""

from __future__ import annotations

from typing import Final

from gateway.procedure_steps.tree import items, text
from heimdallr.worklist.v1 import performed_step_pb2 as step_pb
from heimdallr.worklist.v1 import worklist_service_pb2 as pb
from services.dicom.json import JsonObject
from services.dicom.uids import valid_uid

STATES: Final = {
    "IN PROGRESS": step_pb.PERFORMED_STEP_STATE_IN_PROGRESS,
    "COMPLETED": step_pb.PERFORMED_STEP_STATE_COMPLETED,
    "DISCONTINUED": step_pb.PERFORMED_STEP_STATE_DISCONTINUED,
}
_STATUS: Final = "PerformedProcedureStepStatus"
_SCHEDULED: Final = "ScheduledStepAttributesSequence"
_REFERENCES: Final = ("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence")
MISSING_ATTRIBUTE: Final = 0x0120
MISSING_VALUE: Final = 0x0121
INVALID_VALUE: Final = 0x0106


class StepError(Exception):
    """An attribute that a step needs is absent or has a value that it may not have.

    Attributes:
        status: Status to answer (PS3.7 Annex C).
        keyword: Keyword of the attribute.
    """

    def __init__(self, status: int, keyword: str) -> None:
        super().__init__(keyword)
        self.status = status
        self.keyword = keyword


def step_that_begins(sop_instance_uid: str, found: JsonObject) -> step_pb.PerformedStep:
    """Return the step of an N-CREATE.

    Raises:
        StepError: It is not in progress, or names no study.
    """
    state = _state(found, needed=True)
    if state != step_pb.PERFORMED_STEP_STATE_IN_PROGRESS:
        raise StepError(INVALID_VALUE, _STATUS)
    scheduled = [_scheduled(item) for item in items(found, _SCHEDULED)]
    if not scheduled:
        raise StepError(MISSING_ATTRIBUTE, _SCHEDULED)
    return step_pb.PerformedStep(
        sop_instance_uid=sop_instance_uid,
        state=state,
        scheduled=scheduled,
        patient_id=text(found, "PatientID"),
        issuer_of_patient_id=text(found, "IssuerOfPatientID"),
        patient_name=text(found, "PatientName"),
        modality=text(found, "Modality"),
        performed_station_ae_title=text(found, "PerformedStationAETitle"),
        performed_procedure_step_id=text(found, "PerformedProcedureStepID"),
        description=text(found, "PerformedProcedureStepDescription"),
        start_date=text(found, "PerformedProcedureStepStartDate"),
        start_time=text(found, "PerformedProcedureStepStartTime"),
        end_date=text(found, "PerformedProcedureStepEndDate"),
        end_time=text(found, "PerformedProcedureStepEndTime"),
        series=_series(found),
    )


def change(sop_instance_uid: str, found: JsonObject) -> pb.UpdatePerformedStepRequest:
    """Return what an N-SET says.

    Raises:
        StepError: It names a state that there is not.
    """
    return pb.UpdatePerformedStepRequest(
        sop_instance_uid=sop_instance_uid,
        state=_state(found, needed=False),
        description=text(found, "PerformedProcedureStepDescription"),
        end_date=text(found, "PerformedProcedureStepEndDate"),
        end_time=text(found, "PerformedProcedureStepEndTime"),
        discontinuation_reason=_reason(found),
        series=_series(found),
    )


def _state(found: JsonObject, *, needed: bool) -> step_pb.PerformedStepState.ValueType:
    value = text(found, _STATUS)
    if not value:
        if needed:
            raise StepError(MISSING_ATTRIBUTE, _STATUS)
        return step_pb.PERFORMED_STEP_STATE_UNSPECIFIED
    state = STATES.get(value)
    if state is None:
        raise StepError(INVALID_VALUE, _STATUS)
    return state


def _scheduled(item: JsonObject) -> step_pb.ScheduledReference:
    study = text(item, "StudyInstanceUID")
    if not study:
        raise StepError(MISSING_VALUE, "StudyInstanceUID")
    return step_pb.ScheduledReference(
        study_instance_uid=_uid(study, "StudyInstanceUID"),
        accession_number=text(item, "AccessionNumber"),
        requested_procedure_id=text(item, "RequestedProcedureID"),
        scheduled_procedure_step_id=text(item, "ScheduledProcedureStepID"),
    )


def _series(found: JsonObject) -> list[step_pb.PerformedSeries]:
    return [
        step_pb.PerformedSeries(
            series_instance_uid=_uid(text(item, "SeriesInstanceUID"), "SeriesInstanceUID"),
            series_description=text(item, "SeriesDescription"),
            protocol_name=text(item, "ProtocolName"),
            retrieve_ae_title=text(item, "RetrieveAETitle"),
            instances=[
                step_pb.ReferencedInstance(
                    sop_class_uid=_uid(text(one, "ReferencedSOPClassUID"), "ReferencedSOPClassUID"),
                    sop_instance_uid=_uid(
                        text(one, "ReferencedSOPInstanceUID"), "ReferencedSOPInstanceUID"
                    ),
                )
                for sequence in _REFERENCES
                for one in items(item, sequence)
            ],
        )
        for item in items(found, "PerformedSeriesSequence")
    ]


def _reason(found: JsonObject) -> str:
    sequence = "PerformedProcedureStepDiscontinuationReasonCodeSequence"
    codes = items(found, sequence)
    return text(codes[0], "CodeMeaning") if codes else ""


def _uid(value: str, keyword: str) -> str:
    if not valid_uid(value):
        raise StepError(INVALID_VALUE, keyword)
    return value
