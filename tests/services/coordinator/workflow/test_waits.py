"""What a study is said to wait for."""

from __future__ import annotations

from datetime import timedelta

from services.coordinator.workflow.completeness import CompletenessRules
from services.coordinator.workflow.stages import StageState
from services.coordinator.workflow.waits import Arrival, Wait, arrival_waits, stage_waits
from tests.services.coordinator.workflow.made_up import NOW, stage

RULES = CompletenessRules()


def test_an_arriving_study_waits_for_quiet_and_for_open_associations() -> None:
    assert arrival_waits(Arrival(12.3, 1, all_released=False), RULES) == [
        Wait("QUIET", "Quiet for 12 s of 60 s"),
        Wait("ASSOCIATION_OPEN", "1 association is still open"),
    ]
    assert arrival_waits(Arrival(1.0, 3, all_released=False), RULES)[1].text == (
        "3 associations are still open"
    )


def test_a_released_study_waits_for_less() -> None:
    assert arrival_waits(Arrival(9.0, 0, all_released=True), RULES) == [
        Wait("QUIET", "Quiet for 2 s of 2 s")
    ]


def test_held_stages_need_a_person() -> None:
    held = stage(state=StageState.HELD, queued=False, reason_text="The model is not installed.")

    assert stage_waits([held, held], None, NOW) == [
        Wait("PERSON", "Needs a person: The model is not installed.")
    ]


def test_a_failed_stage_waits_for_its_next_attempt() -> None:
    later = stage(
        next_attempt_time=NOW + timedelta(seconds=3.2),
        reason_text="the model server cannot be reached",
    )

    assert stage_waits([later], None, NOW) == [
        Wait("RETRY", "Tried again in 4 s: the model server cannot be reached")
    ]


def test_a_queued_study_says_how_many_come_before_it_unless_it_runs_already() -> None:
    running = stage(state=StageState.RUNNING)

    assert stage_waits([stage()], 3, NOW) == [Wait("QUEUE", "Waits for its turn (3 before it)")]
    assert stage_waits([stage()], 1000, NOW)[0].text == (
        "Waits for its turn (more than 999 before it)"
    )
    assert stage_waits([stage(), running], 3, NOW) == []
