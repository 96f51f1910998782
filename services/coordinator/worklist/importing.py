"""Schedules the rows of a CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from heimdallr.worklist.v1 import scheduled_step_pb2 as pb
from services.coordinator.worklist.csv_rows import CsvRow, read_rows
from services.coordinator.worklist.errors import ProcedureStepStateError
from services.coordinator.worklist.messages import spec_from_proto
from services.coordinator.worklist.scheduled_step import ScheduledSpec
from services.coordinator.worklist.scheduling import OPEN, keeping_ids, with_ids
from services.coordinator.worklist.store import insert, locked_of_order, overwrite
from services.runtime.errors import InvalidFieldError, ServiceError
from services.runtime.postgres import Connection, Pool, transaction

_COLUMN_OF: Final = {
    "scheduled_station_ae_titles": "station",
    "start_date": "date",
    "start_time": "time",
    "scheduled_procedure_step_id": "step_id",
    "description": "step",
    "performing_physician_name": "performing_physician",
    "procedure.description": "procedure",
    "procedure.referring_physician_name": "referring_physician",
}


class Outcome(Enum):
    """What became of a row."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    NOT_TAKEN = "not_taken"


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one row; see ``ImportedRow`` in the contract."""

    line: int
    outcome: Outcome
    scheduled_step_id: str = ""
    field: str = ""
    rule: str = ""


class _NothingTaken(Exception):  # noqa: N818 - ends a transaction, is no error
    """A row was refused and all or nothing was wanted."""


class Importer:
    """Schedules files in one transaction each; a refused row undoes only itself."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def run(self, data: bytes, *, all_or_nothing: bool) -> list[Imported]:
        """Schedule the rows of a file and tell what became of each.

        Raises:
            InvalidFieldError: The file cannot be read.
        """
        rows = read_rows(data)
        outcomes: list[Imported] = []
        try:
            async with transaction(self._pool) as borrowed:
                outcomes = [await _import_row(borrowed, row) for row in rows]
                if all_or_nothing and _any_refused(outcomes):
                    raise _NothingTaken
        except _NothingTaken:
            return [_not_taken(one) for one in outcomes]
        return outcomes


async def _import_row(borrowed: Connection, row: CsvRow) -> Imported:
    try:
        spec = with_ids(_spec(row), row.ordinal)
        async with borrowed.transaction():
            return await _schedule(borrowed, row.line, spec)
    except InvalidFieldError as error:
        field = error.metadata["field"]
        column = _COLUMN_OF.get(field, field.rpartition(".")[2])
        return Imported(row.line, Outcome.REFUSED, field=column, rule=error.metadata["rule"])
    except ServiceError as error:
        return Imported(row.line, Outcome.REFUSED, field="step_id", rule=error.message)


async def _schedule(borrowed: Connection, line: int, spec: ScheduledSpec) -> Imported:
    before = await locked_of_order(borrowed, spec)
    if before is None:
        step = await insert(borrowed, spec)
        if step is None:
            raise ProcedureStepStateError("exists")
        return Imported(line, Outcome.CREATED, step.scheduled_step_id)
    # What a file cannot say stays as somebody else said it.
    spec = keeping_ids(
        replace(spec, protocol_codes=spec.protocol_codes or before.spec.protocol_codes),
        before.spec,
    )
    if spec == before.spec:
        return Imported(line, Outcome.UNCHANGED, before.scheduled_step_id)
    if before.state not in OPEN:
        raise ProcedureStepStateError(before.state.value)
    await overwrite(borrowed, before, spec)
    return Imported(line, Outcome.UPDATED, before.scheduled_step_id)


def _spec(row: CsvRow) -> ScheduledSpec:
    if not row.complete:
        raise InvalidFieldError("row", "as many values as there are columns")
    value = row.values.get
    patient = pb.ScheduledPatient(
        patient_id=value("patient_id", ""),
        issuer_of_patient_id=value("issuer_of_patient_id", ""),
        patient_name=value("patient_name", ""),
        patient_birth_date=_plain_day(value("patient_birth_date", "")),
        patient_sex=value("patient_sex", ""),
        patient_weight_kg=_weight(value("patient_weight_kg", "")),
    )
    procedure = pb.RequestedProcedure(
        accession_number=value("accession_number", ""),
        requested_procedure_id=value("requested_procedure_id", ""),
        description=value("procedure", ""),
        study_instance_uid=value("study_instance_uid", ""),
        referring_physician_name=value("referring_physician", ""),
        requesting_physician=value("requesting_physician", ""),
        priority=value("priority", ""),
    )
    return spec_from_proto(
        pb.ScheduledStepSpec(
            patient=patient,
            procedure=procedure,
            scheduled_station_ae_titles=value("station", "").split(),
            start_date=_plain_day(value("date", "")),
            start_time=value("time", "").replace(":", ""),
            modality=value("modality", ""),
            scheduled_procedure_step_id=value("step_id", ""),
            description=value("step", ""),
            station_name=value("station_name", ""),
            location=value("location", ""),
            performing_physician_name=value("performing_physician", ""),
        )
    )


def _plain_day(value: str) -> str:
    """Return a date without the dashes of ISO 8601."""
    return value.replace("-", "") if len(value) == len("2026-01-31") else value


def _weight(value: str) -> float:
    try:
        return float(value or 0)
    except ValueError:
        raise InvalidFieldError("patient_weight_kg", "a number of kilograms") from None


def _any_refused(outcomes: Sequence[Imported]) -> bool:
    return any(one.outcome is Outcome.REFUSED for one in outcomes)


def _not_taken(one: Imported) -> Imported:
    if one.outcome is Outcome.REFUSED:
        return one
    return Imported(one.line, Outcome.NOT_TAKEN)
