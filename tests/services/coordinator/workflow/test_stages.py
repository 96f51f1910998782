"""What follows from stages and their states."""

from __future__ import annotations

import pytest

from services.coordinator.archive.study import StudyState
from services.coordinator.workflow.keys import input_key, series_digest
from services.coordinator.workflow.stages import (
    Priority,
    StageKind,
    StageState,
    derive_study_state,
    kind_of,
    rank_of,
)
from tests.services.coordinator.workflow.made_up import stage


@pytest.mark.parametrize(
    ("counts", "begun", "state"),
    [
        ({"pending": 1}, False, StudyState.COMPLETE),
        ({"pending": 1}, True, StudyState.PROCESSING),
        ({"running": 1, "done": 3}, True, StudyState.PROCESSING),
        ({"done": 3, "refused": 2}, True, StudyState.READY),
        ({"held": 1, "running": 2}, True, StudyState.HELD),
    ],
)
def test_the_state_of_a_study_follows_from_its_stages(
    counts: dict[str, int], begun: bool, state: StudyState
) -> None:
    by_state = {StageState(name): count for name, count in counts.items()}

    assert derive_study_state(by_state, begun=begun) is state


def test_a_higher_priority_comes_first_and_then_what_is_nearer_to_the_report() -> None:
    names = ["report", "analyze:ct_tissue", "convert", "describe", "plan"]

    ranks = [rank_of(name, priority) for priority in reversed(Priority) for name in names]

    assert ranks == sorted(ranks, reverse=True)
    assert len(set(ranks)) == len(ranks)


def test_a_name_says_the_kind_and_the_model() -> None:
    assert kind_of("analyze:ct_tissue") is StageKind.ANALYZE
    assert stage("analyze:ct_tissue").model == "ct_tissue"
    assert stage("report").model == ""


def test_keys_do_not_depend_on_the_order_of_inputs_but_on_all_else() -> None:
    convert = stage("convert")

    same = input_key(convert, ["a", "b"]), input_key(convert, ["b", "a"])
    others = {
        input_key(convert, ["a"]),
        input_key(stage("describe"), ["a", "b"]),
        input_key(stage("analyze:m", version="1"), ["a", "b"]),
        input_key(stage("analyze:m", version="2"), ["a", "b"]),
        same[0],
    }

    assert same[0] == same[1]
    assert len(others) == 5
    assert series_digest(["x", "y"]) == series_digest(["y", "x"])


def test_only_keys_of_plan_and_report_hold_the_generation() -> None:
    def keys(name: str) -> set[str]:
        return {input_key(stage(name, generation=number), ["a"]) for number in (1, 2)}

    assert [len(keys(name)) for name in ("plan", "describe", "convert", "analyze:m", "report")] == [
        2,
        1,
        1,
        1,
        2,
    ]
