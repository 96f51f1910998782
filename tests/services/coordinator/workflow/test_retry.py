"""When failed work is tried again and when a person is asked."""

from __future__ import annotations

import pytest

from services.coordinator.workflow.retry import Failure, Hold, RetryLater, RetryPolicy, decide

POLICY = RetryPolicy()


@pytest.mark.parametrize(
    ("count", "delay_s"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 16.0), (7, 60.0)]
)
def test_delays_double_up_to_a_minute(count: int, delay_s: float) -> None:
    decision = decide(Failure("UNAVAILABLE"), count, POLICY, 0.5)

    assert isinstance(decision, RetryLater)
    assert decision.delay_s == delay_s


def test_chance_spreads_delays_by_a_quarter() -> None:
    least = decide(Failure("UNAVAILABLE"), 3, POLICY, 0.0)
    most = decide(Failure("UNAVAILABLE"), 3, POLICY, 1.0)

    assert isinstance(least, RetryLater)
    assert isinstance(most, RetryLater)
    assert (least.delay_s, most.delay_s) == (3.0, 5.0)


@pytest.mark.parametrize(
    ("code", "reason", "attempts"),
    [
        ("UNAVAILABLE", "ERROR_REASON_MODEL_UNAVAILABLE", 8),
        ("UNAVAILABLE", "", 8),
        ("RESOURCE_EXHAUSTED", "ERROR_REASON_STORAGE_FULL", 8),
        ("INTERNAL", "", 5),
        ("INTERNAL", "ERROR_REASON_MODEL_OUTPUT_INVALID", 5),
        ("DEADLINE_EXCEEDED", "", 5),
        ("ABORTED", "", 5),
        ("INVALID_ARGUMENT", "ERROR_REASON_INVALID_FIELD", 1),
        ("FAILED_PRECONDITION", "", 1),
        ("NOT_FOUND", "ERROR_REASON_MODEL_NOT_FOUND", 1),
        ("DATA_LOSS", "ERROR_REASON_BLOB_CORRUPT", 1),
        ("PERMISSION_DENIED", "ERROR_REASON_PERMISSION_DENIED", 1),
        ("UNIMPLEMENTED", "", 1),
    ],
)
def test_patience_depends_on_what_helps(code: str, reason: str, attempts: int) -> None:
    failure = Failure(code, reason)

    held = next(n for n in range(1, 20) if isinstance(decide(failure, n, POLICY, 0.5), Hold))

    assert held == attempts


def test_a_hold_says_what_happened_in_a_sentence() -> None:
    decision = decide(Failure("UNAVAILABLE", "ERROR_REASON_MODEL_UNAVAILABLE"), 8, POLICY, 0.5)

    assert decision == Hold(
        "MODEL_UNAVAILABLE",
        "The model server is not running or cannot load the model. "
        "Replay this step once it is back.",
    )
