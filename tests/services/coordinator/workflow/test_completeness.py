"""When a study is called complete."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise, product

import pytest

from services.coordinator.archive.study import Evidence
from services.coordinator.workflow.completeness import (
    Arrival,
    CompletenessRules,
    is_stronger,
    judge,
)
from services.coordinator.workflow.waits import arrival_waits

RULES = CompletenessRules(
    quiet_after=timedelta(seconds=60),
    released_after=timedelta(seconds=2),
    announced_after=timedelta(seconds=600),
)


def arrival(quiet_s: float = 0.0, **more: int | bool) -> Arrival:
    values = {"open_count": 0, "all_released": False, "instance_count": 120} | more
    return Arrival(quiet_s, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (None, arrival(59.9)),
        (Evidence.QUIET, arrival(60)),
        (None, arrival(1.9, all_released=True)),
        (Evidence.RELEASED, arrival(2, all_released=True)),
        (None, arrival(59, open_count=1)),
        (Evidence.QUIET, arrival(60, open_count=1)),
        # All that was announced is here.
        (Evidence.MANIFEST, arrival(0, announced_count=120, present_count=120)),
        (None, arrival(1, open_count=1, announced_count=120, present_count=120)),
        (Evidence.MANIFEST, arrival(2, open_count=1, announced_count=120, present_count=120)),
        # Some of it is missing, or a modality is at work still.
        (None, arrival(599, all_released=True, announced_count=120, present_count=96)),
        (Evidence.QUIET, arrival(600, all_released=True, announced_count=120, present_count=96)),
        (None, arrival(599, announced_count=9, present_count=9, open_step_count=1)),
        (Evidence.QUIET, arrival(600, open_step_count=1)),
        # The source was asked.
        (None, arrival(1.9, source_count=120)),
        (Evidence.COUNT, arrival(2, source_count=120)),
        (Evidence.COUNT, arrival(2, source_count=120, all_released=True)),
        (None, arrival(599, source_count=121, all_released=True)),
        (Evidence.QUIET, arrival(600, source_count=121)),
        (Evidence.RELEASED, arrival(2, source_count=119, all_released=True)),
        (None, arrival(599, source_count=120, announced_count=121, present_count=120)),
        # A manifest says more than a count.
        (
            Evidence.MANIFEST,
            arrival(2, source_count=120, announced_count=120, present_count=120),
        ),
    ],
)
def test_a_study_is_complete_when_the_evidence_says_so(
    evidence: Evidence | None, found: Arrival
) -> None:
    assert judge(found, RULES) is evidence


def test_a_manifest_and_a_count_are_stronger_than_a_person_and_a_person_than_silence() -> None:
    order = [
        Evidence.QUIET,
        Evidence.RELEASED,
        Evidence.PERSON,
        Evidence.COUNT,
        Evidence.MANIFEST,
    ]

    assert [is_stronger(b, a) for a, b in pairwise(order)] == [True] * 4
    assert not any(is_stronger(one, one) for one in order)
    assert is_stronger(Evidence.QUIET, None)


def test_the_countdown_is_true_whatever_was_said_of_a_study() -> None:
    """When the time that is shown is over, and nothing else happened, the study is complete."""
    counts = [(0, 0), (9, 9), (9, 5)]
    for open_count, released, (announced, present), steps, source, quiet_s in product(
        (0, 2), (True, False), counts, (0, 1), (0, 119, 120, 121), (0.0, 1.0, 30.0, 300.0, 601.0)
    ):
        found = arrival(
            quiet_s,
            open_count=open_count,
            all_released=released and not open_count,
            announced_count=announced,
            present_count=present,
            open_step_count=steps,
            source_count=source,
        )
        (quiet,) = [wait for wait in arrival_waits(found, RULES) if wait.code == "QUIET"]
        assert quiet.remaining_s is not None
        later = replace(found, quiet_s=quiet_s + quiet.remaining_s)
        assert judge(later, RULES) is not None, found
        if quiet.remaining_s > 0 and (open_count or not announced or present < announced):
            assert judge(found, RULES) is None, found
