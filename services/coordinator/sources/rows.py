"""Sources as rows, and back."""

from __future__ import annotations

import json
from dataclasses import asdict

import asyncpg

from services.coordinator.sources.source import (
    Counts,
    Kind,
    Schedule,
    Source,
    SourceSpec,
    SourceState,
)


def spec_json(spec: SourceSpec) -> str:
    """Return what is registered beside name and kind as a JSON document."""
    values = asdict(spec)
    del values["name"], values["kind"]
    return json.dumps(values)


def source_from_row(row: asyncpg.Record) -> Source:
    """Return a source."""
    expires = row["turn_expire_time"]
    requested = row["request_time"]
    state = SourceState(
        paused=row["paused"],
        running=expires is not None and expires > row["read_time"],
        last_run_time=row["last_run_time"],
        last_success_time=row["last_success_time"],
        next_run_time=min(row["next_run_time"], requested or row["next_run_time"]),
        failure=row["failure"],
        failures=row["failures"],
        last=_counts(row, "last"),
        total=_counts(row, "total"),
        progress=row["progress"],
    )
    return Source(
        source_id=str(row["source_id"]),
        spec=_spec(row),
        state=state,
        create_time=row["create_time"],
        update_time=row["update_time"],
        read_time=row["read_time"],
    )


def _spec(row: asyncpg.Record) -> SourceSpec:
    values = json.loads(row["spec"])
    schedule = values.pop("schedule")
    schedule["times"] = tuple(schedule["times"])
    values["modalities"] = tuple(values["modalities"])
    return SourceSpec(
        name=row["name"], kind=Kind(row["kind"]), schedule=Schedule(**schedule), **values
    )


def _counts(row: asyncpg.Record, which: str) -> Counts:
    names = ("studies", "stored", "known", "refused")
    return Counts(**{name: row[f"{which}_{name}"] for name in names})
