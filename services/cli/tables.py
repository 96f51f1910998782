"""Words, colours and tables in which commands show studies and results."""

from __future__ import annotations

from typing import Final

from rich.markup import escape
from rich.table import Table

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.imaging.v1 import measurement_pb2
from heimdallr.workflow.v1 import workflow_service_pb2 as workflow_pb

_SETTLED: Final = {"ready": "green", "done": "green", "held": "red", "refused": "yellow"}
_UNITS: Final = {"[hnsf'U]": "HU", "mL": "mL"}


def state_word(name: str) -> str:
    """Return a state's word in its colour, from a value name such as "STUDY_STATE_READY"."""
    word = name.rpartition("_STATE_")[2].lower()
    color = _SETTLED.get(word, "cyan")
    return f"[{color}]{word}[/{color}]"


def studies_table(studies: list[archive_pb.Study]) -> Table:
    """Return studies, a row each. Text from DICOM is shown literally."""
    table = Table("state", "patient", "study", "modality", "images", "received", "study id")
    for study in studies:
        received = study.last_receive_time.ToDatetime().strftime("%Y-%m-%d %H:%M")
        table.add_row(
            state_word(archive_pb.StudyState.Name(study.state)),
            literal(f"{study.patient_name} ({study.patient_id})"),
            literal(study.study_description),
            literal("/".join(study.modalities)),
            str(study.instance_count),
            received,
            study.study_id,
        )
    return table


def stages_table(workflow: workflow_pb.StudyWorkflow) -> Table:
    """Return the stages of a study's latest generation, a row each."""
    table = Table("stage", "state", "attempts", "seconds", "reason")
    for stage in workflow.stages:
        if stage.generation != workflow.generation:
            continue
        seconds = sum(
            (attempt.end_time.ToDatetime() - attempt.start_time.ToDatetime()).total_seconds()
            for attempt in stage.attempts
            if attempt.HasField("end_time")
        )
        table.add_row(
            stage.name,
            state_word(workflow_pb.StageState.Name(stage.state)),
            str(len(stage.attempts)),
            f"{seconds:.1f}",
            literal(stage.reason.text),
        )
    return table


def measurements_table(measurements: list[measurement_pb2.Measurement]) -> Table:
    """Return measurements and refusals, a row each."""
    table = Table("measurement", "value", "unit / why there is none")
    for measurement in measurements:
        name = literal(measurement.display_name or measurement.name)
        if measurement.WhichOneof("outcome") == "value":
            value = measurement.value
            unit = _UNITS.get(value.unit_ucum, value.unit_ucum)
            table.add_row(name, f"{value.number:,.1f}", literal(unit))
        else:
            table.add_row(name, "[yellow]refused[/yellow]", literal(measurement.refusal.text))
    return table


def literal(text: str) -> str:
    """Return text from outside so that a terminal shows it as text and obeys none of it."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
