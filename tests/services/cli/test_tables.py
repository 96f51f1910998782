from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console, RenderableType

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.conversion.v1.conversion_service_pb2 import SeriesScore
from heimdallr.workflow.v1 import completeness_service_pb2 as completeness_pb
from heimdallr.workflow.v1 import workflow_service_pb2 as workflow_pb
from services.cli.study import _print, _progress
from services.cli.tables import studies_table, study_notes

_ID = "01927f3e-0000-7000-8000-0123456789ab"


def _study() -> archive_pb.Study:
    study = archive_pb.Study(
        study_id=_ID,
        patient_name="Long^Name Of A Patient",
        patient_id="PID-0123456789",
        study_description="Chest, abdomen and pelvis with contrast",
        modalities=["CT"],
        state=archive_pb.STUDY_STATE_PROCESSING,
        instance_count=1234,
    )
    study.last_receive_time.FromDatetime(datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    return study


def _shown(table: RenderableType, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_study_id_stands_whole_on_the_line_of_its_study(width: int) -> None:
    shown = _shown(studies_table([_study()], width), width)

    assert len(shown.splitlines()) == 2
    assert _ID in shown
    assert "1234" in shown
    assert "UTC" in shown
    assert "01-02 03:04" in shown
    assert max(map(len, shown.splitlines())) <= width


def test_a_wide_terminal_shows_what_was_examined() -> None:
    shown = _shown(studies_table([_study()], 160), 160)

    assert "Chest, abdomen and pelvis" in shown
    assert "CT" in shown


def test_progress_and_waits_are_shown_while_a_study_is_watched() -> None:
    workflow = workflow_pb.StudyWorkflow(generation=1)
    stage = workflow.stages.add(name="convert", generation=1, state=workflow_pb.STAGE_STATE_RUNNING)
    stage.progress.fraction, stage.progress.activity = 0.4, "Resampling"
    workflow.waits.add(code="RETRY", text="Tried again in 18 s: no answer")

    shown = _shown(_progress(workflow), 80)

    assert "running 40%" in shown
    assert "Resampling" in shown
    assert "Tried again in 18 s: no answer" in shown


def test_a_study_without_measurements_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    study = _study()
    study.study_instance_uid, study.conflict_count = "1.2.3", 1
    series = archive_pb.Series(series_id="s", series_number=3, modality="SR")
    workflow = workflow_pb.StudyWorkflow(generation=2)
    workflow.stages.add(name="convert", generation=1, state=workflow_pb.STAGE_STATE_SUPERSEDED)
    score = SeriesScore(series_id="s")
    score.refusal.text = "No images."
    workflow.plan.series.append(score)
    workflow.plan.models.add(model="lung", text="No CT series.")
    found = archive_pb.GetStudyResponse(study=study, series=[series])

    _print(found, workflow, workflow_pb.GetStudyResultsResponse())

    lines = " ".join(capsys.readouterr().out.split())
    assert "Study Instance UID 1.2.3" in lines
    assert "Series 3 SR: No images." in lines
    assert "Model lung: No CT series." in lines
    assert "1 instance came with other content under a known SOP Instance UID;" in lines
    assert "generation 1 were superseded by those of generation 2" in lines


def test_a_study_that_is_short_of_what_was_announced_says_so() -> None:
    said = completeness_pb.Announcement(announced_count=120, present_count=96)

    short = study_notes(archive_pb.Study(), workflow_pb.StudyWorkflow(announcement=said))
    said.present_count = 120
    whole = study_notes(archive_pb.Study(), workflow_pb.StudyWorkflow(announcement=said))

    assert short == ["96 of 120 announced instances are here."]
    assert whole == []
