from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.coordinator.sources.schedule import next_run
from services.coordinator.sources.source import Schedule

DAILY = Schedule(times=("02:00", "14:30"), time_zone="America/Sao_Paulo")
BERLIN = Schedule(times=("03:30",), time_zone="Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "after", "failures", "due"),
    [
        (Schedule(interval_s=60), "2026-03-01T10:00", 0, "2026-03-01T10:01"),
        (Schedule(times=("02:00",)), "2026-03-01T10:00", 0, "2026-03-02T02:00"),
        (Schedule(times=("02:00",)), "2026-03-01T02:00", 0, "2026-03-02T02:00"),
        # Three hours behind UTC.
        (DAILY, "2026-03-01T10:00", 0, "2026-03-01T17:30"),
        (DAILY, "2026-03-01T18:00", 0, "2026-03-02T05:00"),
        # What failed is tried again sooner than the next day, later and later.
        (Schedule(times=("02:00",)), "2026-03-01T10:00", 1, "2026-03-01T10:00:30"),
        (Schedule(times=("02:00",)), "2026-03-01T10:00", 3, "2026-03-01T10:02"),
        (Schedule(times=("02:00",)), "2026-03-01T10:00", 99, "2026-03-01T11:00"),
        (Schedule(interval_s=5), "2026-03-01T10:00", 9, "2026-03-01T10:00:05"),
        # The night in which Berlin's clocks go from 02:00 to 03:00.
        (
            Schedule(times=("03:30",), time_zone="Europe/Berlin"),
            "2026-03-29T00:00",
            0,
            "2026-03-29T01:30",
        ),
    ],
)
def test_when_a_source_is_due(schedule: Schedule, after: str, failures: int, due: str) -> None:
    assert next_run(schedule, at(after), failures) == at(due)
