"""Made-up stages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.coordinator.workflow.stages import Stage, StageState
from services.runtime.ids import new_id

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def stage(name: str = "convert", **more: Any) -> Stage:
    """Return a stage that waits, with other values where given."""
    values: dict[str, Any] = {
        "stage_id": new_id(),
        "study_id": new_id(),
        "series_id": None,
        "generation": 1,
        "name": name,
        "version": "",
        "state": StageState.PENDING,
        "settled_state": None,
        "input_key": "",
        "output_key": "",
        "reason_code": "",
        "reason_text": "",
        "correlation_id": "c",
        "priority": 2,
        "turn": 1,
        "queued": True,
        "rank": 20,
        "queue_time": NOW,
        "attempt_count": 0,
        "failure_count": 0,
        "current_attempt_id": None,
        "next_attempt_time": None,
        "progress_fraction": None,
        "progress_activity": "",
        "create_time": NOW,
        "update_time": NOW,
    }
    return Stage(**(values | more))
