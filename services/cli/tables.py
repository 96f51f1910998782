"""Words, colours and tables in which commands show studies and results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.markup import escape
from rich.table import Table

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.imaging.v1 import measurement_pb2
from heimdallr.workflow.v1 import workflow_service_pb2 as workflow_pb

_SETTLED: Final = {"ready": "green", "done": "green", "held": "red", "refused": "yellow"}
_WIDE: Final = 120
"""Columns of a terminal from which a list of studies shows everything."""

_UNITS: Final = {"[hnsf'U]": "HU", "mL": "mL"}


def state_word(name: str) -> str:
    """Return a state's word in its colour, from a value name such as "STUDY_STATE_READY"."""
    word = name.rpartition("_STATE_")[2].lower()
    color = _SETTLED.get(word, "cyan")
    return f"[{color}]{word}[/{color}]"


def studies_table(studies: list[archive_pb.Study], width: int) -> Table:
    """Return studies, a row each. Text from DICOM is shown literally.

    Args:
        studies: The studies.
        width: Columns of the terminal; a narrow one shows less, and each study id whole.
    """
    wide = width >= _WIDE
    table = Table(box=None, padding=(0, 2 if wide else 1, 0, 0), pad_edge=False, expand=True)
    table.add_column("state", no_wrap=True)
    table.add_column("patient", no_wrap=True, ratio=1)
    if wide:
        table.add_column("study", no_wrap=True, ratio=1)
        table.add_column("modality", no_wrap=True)
    table.add_column("images", justify="right", no_wrap=True)
    table.add_column("received UTC", no_wrap=True)
    table.add_column("study id", no_wrap=True, overflow="fold")
    for study in studies:
        table.add_row(*_study_cells(study, wide=wide))
    return table


def _study_cells(study: archive_pb.Study, *, wide: bool) -> list[str]:
    received = study.last_receive_time.ToDatetime()
    return [
        state_word(archive_pb.StudyState.Name(study.state)),
        literal(f"{study.patient_name} ({study.patient_id})"),
        *([literal(study.study_description), literal("/".join(study.modalities))] if wide else []),
        str(study.instance_count),
        received.strftime("%Y-%m-%d %H:%M" if wide else "%m-%d %H:%M"),
        study.study_id,
    ]


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
            state_word(workflow_pb.StageState.Name(stage.state)) + _share(stage),
            str(len(stage.attempts)),
            f"{seconds:.1f}",
            literal(stage.reason.text or stage.progress.activity),
        )
    return table


def _share(stage: workflow_pb.Stage) -> str:
    running = stage.state == workflow_pb.STAGE_STATE_RUNNING and stage.HasField("progress")
    return f" {stage.progress.fraction:.0%}" if running else ""


def why_nothing_was_measured(
    plan: workflow_pb.Plan, series: Sequence[archive_pb.Series]
) -> list[str]:
    """Return the plan's reasons, a line each: series that cannot be used, models not run."""
    names = {one.series_id: one for one in series}
    lines = [
        f"Series {_series_name(names.get(score.series_id))}: {score.refusal.text}"
        for score in plan.series
        if score.HasField("refusal")
    ]
    lines += [f"Model {choice.model}: {choice.text}" for choice in plan.models if not choice.chosen]
    return [literal(line) for line in lines]


def _series_name(series: archive_pb.Series | None) -> str:
    if series is None:
        return "unknown"
    number = str(series.series_number) if series.HasField("series_number") else "without number"
    return " ".join(word for word in (number, series.modality, series.series_description) if word)


def study_notes(study: archive_pb.Study, workflow: workflow_pb.StudyWorkflow) -> list[str]:
    """Return what a reader of a study's results must know beside them, a sentence each."""
    notes = []
    if count := study.conflict_count:
        instances = "1 instance" if count == 1 else f"{count} instances"
        notes.append(
            f"{instances} came with other content under a known SOP Instance UID; the first "
            "stays in use."
        )
    said = workflow.announcement
    if said.present_count < said.announced_count:
        notes.append(
            f"{said.present_count} of {said.announced_count} announced instances are here."
        )
    older = {s.generation for s in workflow.stages if s.generation < workflow.generation}
    if older:
        notes.append(
            f"Images came later: the results of generation {max(older)} were superseded by those "
            f"of generation {workflow.generation}."
        )
    return notes


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
