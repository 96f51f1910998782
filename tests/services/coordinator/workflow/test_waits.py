"""What a study is said to wait for."""

from __future__ import annotations

from datetime import timedelta

from services.coordinator.workflow.completeness import Arrival, CompletenessRules
from services.coordinator.workflow.stages import StageState
from services.coordinator.workflow.waits import Wait, arrival_waits, stage_waits
from tests.services.coordinator.workflow.made_up import NOW, stage

RULES = CompletenessRules()


def test_an_arriving_study_waits_for_quiet_and_for_open_associations() -> None:
    assert arrival_waits(Arrival(12.3, 1, all_released=False), RULES) == [
        Wait("QUIET", "Quiet for 12 s of 60 s", remaining_s=47.7, total_s=60.0),
        Wait("ASSOCIATION_OPEN", "1 association is still open"),
    ]
    assert arrival_waits(Arrival(1.0, 3, all_released=False), RULES)[1].text == (
        "3 associations are still open"
    )


def test_a_released_study_waits_for_less() -> None:
    assert arrival_waits(Arrival(9.0, 0, all_released=True), RULES) == [
        Wait("QUIET", "Quiet for 2 s of 2 s", remaining_s=0.0, total_s=2.0)
    ]


def test_a_study_that_is_short_of_what_was_announced_says_of_how_many_and_waits_longer() -> None:
    short = Arrival(
        30.0,
        0,
        all_released=True,
        instance_count=97,
        announced_count=120,
        present_count=96,
        open_step_count=1,
        source_count=121,
    )

    waits = arrival_waits(short, RULES)

    assert [wait.text for wait in waits] == [
        "96 of 120 announced instances are here",
        "97 of 121 instances that the source has are here",
        "1 procedure step is still in progress",
        "Quiet for 30 s of 600 s",
    ]
    assert (waits[0].count, waits[0].wanted_count) == (96, 120)
    assert waits[-1].remaining_s == 570.0


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
        Wait("RETRY", "Tried again in 4 s: the model server cannot be reached", remaining_s=4.0)
    ]


def test_a_queued_study_says_how_many_come_before_it_unless_it_runs_already() -> None:
    running = stage(state=StageState.RUNNING)

    assert stage_waits([stage()], 3, NOW) == [Wait("QUEUE", "Waits for its turn (3 before it)")]
    assert stage_waits([stage()], 1000, NOW)[0].text == (
        "Waits for its turn (more than 999 before it)"
    )
    assert stage_waits([stage(), running], 3, NOW) == []
