"""``heimdallr worklist`` before it reaches a stack."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from heimdallr.worklist.v1 import performed_step_pb2 as performed_pb
from heimdallr.worklist.v1 import scheduled_step_pb2 as step_pb
from services.cli.__main__ import app
from services.cli.worklist_tables import performed_table, steps_table


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["worklist", "list", "--state", "lost"], "scheduled"),
        (["worklist", "performed", "--state", "lost"], "in-progress"),
        (["worklist", "import", "nowhere.csv"], "nowhere.csv"),
        (["worklist", "add"], "--patient-id"),
        (["complete", " "], "Study Instance UID"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(app, arguments)

    assert result.exit_code == 2
    assert told in result.output


def test_without_a_stack_nothing_is_scheduled(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("patient_id\n")

    result = CliRunner().invoke(
        app, ["worklist", "import", str(file), "--data", str(tmp_path / "none")]
    )

    assert result.exit_code == 3
    assert "nothing runs" in result.output


def test_a_list_shows_what_people_typed_as_text() -> None:
    step = step_pb.ScheduledStep(
        scheduled_step_id="01927f3e-0000-7000-8000-0123456789ab",
        state=step_pb.SCHEDULED_STEP_STATE_SCHEDULED,
        spec=step_pb.ScheduledStepSpec(
            patient=step_pb.ScheduledPatient(patient_name="[red]X[/red]\x1b[2J", patient_id="P"),
            start_date="20260105",
            start_time="093000",
            modality="CT",
        ),
    )
    console = Console(width=200)

    with console.capture() as shown:
        console.print(steps_table([step]))

    text = shown.get()
    assert "[red]X[/red]\N{REPLACEMENT CHARACTER}[2J (P)" in text
    assert "20260105 0930" in text
    assert "scheduled" in text


def test_a_list_of_performed_steps_counts_what_was_made() -> None:
    series = performed_pb.PerformedSeries(
        instances=[performed_pb.ReferencedInstance(sop_instance_uid="1.1")] * 2
    )
    step = performed_pb.PerformedStep(
        state=performed_pb.PERFORMED_STEP_STATE_IN_PROGRESS,
        scheduled=[performed_pb.ScheduledReference(study_instance_uid="1.2.3")] * 2,
        series=[series, series],
        performed_station_ae_title="CT1",
    )
    console = Console(width=200)

    with console.capture() as shown:
        console.print(performed_table([step]))

    row = shown.get().splitlines()[1].split()
    assert row[:2] == ["in", "progress"]
    assert row[-2:] == ["4", "1.2.3"]
