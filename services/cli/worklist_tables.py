"""Tables in which commands show procedure steps."""

from __future__ import annotations

from rich.table import Table

from heimdallr.worklist.v1 import performed_step_pb2 as performed_pb
from heimdallr.worklist.v1 import scheduled_step_pb2 as step_pb
from services.cli.tables import literal


def performed_table(steps: list[performed_pb.PerformedStep]) -> Table:
    """Return performed steps, a row each. Text of modalities is shown literally."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("state", "began", "station", "modality", "patient", "images", "study"):
        table.add_column(name, no_wrap=name != "patient")
    for step in steps:
        state = performed_pb.PerformedStepState.Name(step.state)
        studies = dict.fromkeys(one.study_instance_uid for one in step.scheduled)
        table.add_row(
            state.removeprefix("PERFORMED_STEP_STATE_").lower().replace("_", " "),
            literal(f"{step.start_date} {step.start_time[:4]}"),
            literal(step.performed_station_ae_title),
            literal(step.modality),
            literal(f"{step.patient_name} ({step.patient_id})"),
            str(sum(len(series.instances) for series in step.series)),
            literal(" ".join(studies)),
        )
    return table


def steps_table(steps: list[step_pb.ScheduledStep]) -> Table:
    """Return steps, a row each. Text that people typed is shown literally."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("state", "start", "station", "modality", "patient", "accession", "step id"):
        table.add_column(name, no_wrap=name != "patient")
    for step in steps:
        table.add_row(*_cells(step))
    return table


def _cells(step: step_pb.ScheduledStep) -> list[str]:
    spec = step.spec
    state = step_pb.ScheduledStepState.Name(step.state).removeprefix("SCHEDULED_STEP_STATE_")
    return [
        state.lower(),
        f"{spec.start_date} {spec.start_time[:4]}",
        literal(" ".join(spec.scheduled_station_ae_titles)),
        literal(spec.modality),
        literal(f"{spec.patient.patient_name} ({spec.patient.patient_id})"),
        literal(spec.procedure.accession_number),
        step.scheduled_step_id,
    ]
