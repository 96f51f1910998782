"""Which way a search takes follows from how much the planner expects to match."""

from __future__ import annotations

from typing import Any

import pytest

from services.coordinator.archive.expectation import expectation
from services.coordinator.archive.search import StudyFilter, StudyList
from services.coordinator.archive.study import StudyState

_TOTAL = 1_000_000


def _plan(*rows: int, node: str = "Append") -> dict[str, Any]:
    return {"Node Type": node, "Plans": [{"Plan Rows": count} for count in (*rows, _TOTAL)]}


_WORD = StudyFilter(text="mill")
_BOTH = StudyFilter(text="mill", modality="PT")
_HELD = StudyFilter(text="mill", state=StudyState.HELD)
_CASES: list[tuple[str, StudyFilter, tuple[int, ...], bool, int]] = [
    ("a rare word is found by its index", _WORD, (500,), False, 1),
    ("a common word stands in the latest rows", _WORD, (200_000,), True, 1),
    ("in between what costs less", _WORD, (5_000,), True, 1),
    ("two that are rare together", _BOTH, (9_000, 10_000), False, 2),
    ("a rare one decides, a common one is looked at", _BOTH, (700, 450_000), False, 1),
    ("both common", _BOTH, (300_000, 450_000), True, 1),
    ("few in the state: all of them are found", _HELD, (2_000, 5_000), False, 2),
]


@pytest.mark.parametrize(("name", "wanted", "rows", "look_first", "sought"), _CASES)
def test_the_shorter_way_is_taken(
    name: str, wanted: StudyFilter, rows: tuple[int, ...], look_first: bool, sought: int
) -> None:
    found = expectation(_plan(*rows), StudyList(wanted), 51)

    assert (found.look_first, len(found.sought)) == (look_first, sought), name
    assert 51 * 60 <= found.rows_to_look_at <= 51 * 300


def test_a_plan_of_another_form_leads_somewhere_too() -> None:
    found = expectation(_plan(5, node="Gather"), StudyList(_WORD), 51)

    assert len(found.sought) == 1
    assert found.rows_to_look_at > 0
