"""A scheduled step as a Modality Worklist answer (PS3.4 Table K.6-1)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.procedure_steps.tree import Tree, tag_of
from heimdallr.worklist.v1 import scheduled_step_pb2 as pb

SCHEDULED_STEP_SEQUENCE: Final = tag_of("ScheduledProcedureStepSequence")
_STATUS: Final = {
    pb.SCHEDULED_STEP_STATE_SCHEDULED: "SCHEDULED",
    pb.SCHEDULED_STEP_STATE_STARTED: "STARTED",
    pb.SCHEDULED_STEP_STATE_COMPLETED: "COMPLETED",
    pb.SCHEDULED_STEP_STATE_DISCONTINUED: "DISCONTINUED",
    pb.SCHEDULED_STEP_STATE_CANCELLED: "CANCELED",
}


def answer(step: pb.ScheduledStep) -> Tree:
    """Return every attribute that we know of a step."""
    patient, procedure = step.spec.patient, step.spec.procedure
    weight = patient.patient_weight_kg
    pregnancy = patient.pregnancy_status
    return _tagged(
        {
            "AccessionNumber": procedure.accession_number,
            "ReferringPhysicianName": procedure.referring_physician_name,
            "PatientName": patient.patient_name,
            "PatientID": patient.patient_id,
            "IssuerOfPatientID": patient.issuer_of_patient_id,
            "PatientBirthDate": patient.patient_birth_date,
            "PatientSex": patient.patient_sex,
            "PatientWeight": f"{weight:.6g}" if weight else "",
            "MedicalAlerts": patient.medical_alerts,
            "Allergies": patient.allergies,
            "PregnancyStatus": str(pregnancy) if pregnancy else "",
            "StudyInstanceUID": procedure.study_instance_uid,
            "RequestingPhysician": procedure.requesting_physician,
            "RequestedProcedureDescription": procedure.description,
            "RequestedProcedureCodeSequence": (
                [_code(procedure.code)] if procedure.HasField("code") else []
            ),
            "RequestedProcedureID": procedure.requested_procedure_id,
            "RequestedProcedurePriority": procedure.priority,
            "ScheduledProcedureStepSequence": [_step(step)],
        }
    )


def chosen(known: Tree, wanted: Tree) -> Tree:
    """Return the attributes that were asked for; what we do not know is empty.

    A sequence that is asked for without an item of its own is returned whole.
    """
    found: dict[int, str | list[Tree]] = {}
    for tag, asked in wanted.items():
        value = known.get(tag, "" if isinstance(asked, str) else [])
        if isinstance(value, str) or isinstance(asked, str):
            found[tag] = value if isinstance(value, str) else list(value)
        else:
            found[tag] = [chosen(one, asked[0]) if asked else one for one in value]
    return found


def _step(step: pb.ScheduledStep) -> Tree:
    spec = step.spec
    return _tagged(
        {
            "Modality": spec.modality,
            "ScheduledStationAETitle": "\\".join(spec.scheduled_station_ae_titles),
            "ScheduledProcedureStepStartDate": spec.start_date,
            "ScheduledProcedureStepStartTime": spec.start_time,
            "ScheduledPerformingPhysicianName": spec.performing_physician_name,
            "ScheduledProcedureStepDescription": spec.description,
            "ScheduledProtocolCodeSequence": [_code(one) for one in spec.protocol_codes],
            "ScheduledProcedureStepID": spec.scheduled_procedure_step_id,
            "ScheduledStationName": spec.station_name,
            "ScheduledProcedureStepLocation": spec.location,
            "ScheduledProcedureStepStatus": _STATUS.get(step.state, ""),
        }
    )


def _code(code: pb.Code) -> Tree:
    return _tagged(
        {
            "CodeValue": code.value,
            "CodingSchemeDesignator": code.scheme,
            "CodeMeaning": code.meaning,
        }
    )


def _tagged(values: Mapping[str, str | list[Tree]]) -> Tree:
    return {tag_of(keyword): value for keyword, value in values.items()}


EVERY_ATTRIBUTE: Final[Tree] = MappingProxyType(
    answer(
        pb.ScheduledStep(
            spec=pb.ScheduledStepSpec(
                procedure=pb.RequestedProcedure(code=pb.Code()), protocol_codes=[pb.Code()]
            )
        )
    )
)
"""The attributes that answers can hold, without values."""
