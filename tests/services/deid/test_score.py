"""The score card: every required action on a corpus of made-up people is taken."""

from __future__ import annotations

from scripts.deid_score import nothing, ours, score

PATIENTS = 4
"""Few, to be quick; `make deid-score` takes twelve."""


def test_every_action_is_taken_on_the_synthetic_corpus() -> None:
    missed = {
        kind: counts for kind, counts in score(ours, PATIENTS).items() if counts[0] != counts[1]
    }

    assert missed == {}


def test_a_tool_that_does_nothing_is_not_taken_for_one_that_works() -> None:
    card = score(nothing, PATIENTS)

    assert card["uid_changed"][0] == card["date_shifted"][0] == 0
    assert card["text_removed"][0] < card["text_removed"][1] / 5
