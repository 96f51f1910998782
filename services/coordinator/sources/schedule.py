"""When a source is due next."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from services.coordinator.sources.source import Schedule

_FIRST_RETRY_S: Final = 30
_LONGEST_RETRY_S: Final = 3600


def next_run(schedule: Schedule, after: datetime, failures: int = 0) -> datetime:
    """Return when a source is due next.

    What failed is tried again sooner than a daily time would, later and later up to an hour.

    Args:
        schedule: The schedule.
        after: When the last turn ended, UTC.
        failures: Turns that failed in a row.
    """
    planned = _planned(schedule, after)
    if not failures:
        return planned
    pause_s = min(_LONGEST_RETRY_S, _FIRST_RETRY_S << min(failures - 1, 10))
    return min(planned, after + timedelta(seconds=pause_s))


def time_of_day(text: str) -> time:
    """Return a time written as "HH:MM".

    Raises:
        ValueError: It is not.
    """
    if len(text) != 5:
        raise ValueError(text)
    return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 -- a time of day has no zone


def _planned(schedule: Schedule, after: datetime) -> datetime:
    if not schedule.times:
        return after + timedelta(seconds=schedule.interval_s)
    zone = ZoneInfo(schedule.time_zone or "UTC")
    local = after.astimezone(zone)
    candidates = (
        datetime.combine(local.date() + timedelta(days=days), time_of_day(text), zone)
        for days in (0, 1)
        for text in schedule.times
    )
    return min(moment for one in candidates if (moment := one.astimezone(UTC)) > after)
