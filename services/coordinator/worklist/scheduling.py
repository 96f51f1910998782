"""What is filled in when a step is scheduled, without transport or database."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Final

from services.coordinator.worklist.scheduled_step import ScheduledSpec, ScheduledState
from services.runtime.ids import new_id

_ID_LENGTH: Final = 15
OPEN: Final = frozenset({ScheduledState.SCHEDULED})
"""States in which people may still change a step."""


def with_ids(spec: ScheduledSpec, ordinal: int = 0) -> ScheduledSpec:
    """Return a step with the ids that nobody chose.

    Args:
        spec: What is scheduled.
        ordinal: Number of the step among those of its accession number in one file, from 1: the
            same file gives the same ids. Zero makes new ones.
    """
    step_id = spec.scheduled_procedure_step_id
    accession = spec.procedure.accession_number
    if not step_id:
        step_id = _made(f"{accession}\0{ordinal}" if ordinal and accession else new_id())
    requested = spec.procedure.requested_procedure_id or accession or step_id
    procedure = replace(spec.procedure, requested_procedure_id=requested)
    return replace(spec, procedure=procedure, scheduled_procedure_step_id=step_id)


def keeping_ids(spec: ScheduledSpec, before: ScheduledSpec) -> ScheduledSpec:
    """Return what a step is replaced by, with the ids it had where nobody chose others."""
    step_id = spec.scheduled_procedure_step_id or before.scheduled_procedure_step_id
    requested = spec.procedure.requested_procedure_id or before.procedure.requested_procedure_id
    study = spec.procedure.study_instance_uid or before.procedure.study_instance_uid
    procedure = replace(spec.procedure, requested_procedure_id=requested, study_instance_uid=study)
    return replace(spec, procedure=procedure, scheduled_procedure_step_id=step_id)


def with_study(spec: ScheduledSpec, study_instance_uid: str) -> ScheduledSpec:
    """Return a step of a study."""
    return replace(spec, procedure=replace(spec.procedure, study_instance_uid=study_instance_uid))


def _made(name: str) -> str:
    digest = base64.b32encode(hashlib.sha256(name.encode()).digest()).decode("ascii")
    return f"S{digest[:_ID_LENGTH]}"
