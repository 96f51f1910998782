"""Gauges of the work over a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.coordinator.assembly import PACKAGES
from services.coordinator.operations.gauges import WorkGauges
from services.runtime.ids import new_id
from services.runtime.metrics_endpoint import exposed
from services.runtime.migrate import apply
from services.runtime.postgres import Pool
from tests.support.postgres import pool, postgres_dsn, postgres_server_dsn
from tests.support.scrapes import Scrape, scrape

__all__ = ["pool", "postgres_dsn", "postgres_server_dsn"]

pytestmark = pytest.mark.postgres


async def add_stage(pool: Pool, name: str, state: str, *, waits_s: float | None = None) -> None:
    await pool.execute(
        "INSERT INTO workflow.stage (stage_id, study_id, generation, name, state, queued,"
        " queue_time) VALUES ($1, $2, 1, $3, $4, $5, now() - $6 * interval '1 second')",
        new_id(),
        new_id(),
        name,
        state,
        waits_s is not None,
        waits_s or 0.0,
    )


async def looked_up(folder: Path, gauges: WorkGauges) -> Scrape:
    async with exposed(f"unix:{folder}/m.sock", [gauges.gather]):
        return await scrape(folder / "m.sock")


async def test_the_gauges_are_those_of_the_rows(tmp_path: Path, pool: Pool) -> None:
    await apply(pool, PACKAGES)
    await add_stage(pool, "convert", "pending", waits_s=90)
    await add_stage(pool, "convert", "pending", waits_s=5)
    await add_stage(pool, "convert", "pending")
    await add_stage(pool, "analyze:ct_tissue", "held")
    await add_stage(pool, "report", "done")

    found = await looked_up(tmp_path, WorkGauges(pool))

    assert found.value("heimdallr_stages", state="pending", stage="convert") == 3
    assert found.value("heimdallr_stages", state="held", stage="analyze") == 1
    assert found.value("heimdallr_queue_depth") == 2
    assert 90 <= found.value("heimdallr_queue_oldest_seconds") < 120
    assert {"receiving", "held", "ready"} <= found.labels("state")


async def test_a_stage_of_any_name_makes_no_new_label(tmp_path: Path, pool: Pool) -> None:
    await apply(pool, PACKAGES)
    for number in range(50):
        await add_stage(pool, f"DOE^JOHN{number}", "pending")
        await add_stage(pool, f"analyze:DOE^JOHN{number}", "held")

    found = await looked_up(tmp_path, WorkGauges(pool))

    kinds = {"plan", "describe", "deidentify", "convert", "analyze", "report", "other"}
    assert found.labels("stage") <= kinds
    assert found.value("heimdallr_stages", state="pending", stage="other") == 50
    assert "DOE" not in str(found.families)


async def test_sources_are_counted_by_how_their_last_turn_ended(tmp_path: Path, pool: Pool) -> None:
    await apply(pool, PACKAGES)
    for number, (kind, failures, paused) in enumerate(
        [("orthanc", 0, False), ("orthanc", 3, False), ("orthanc", 3, True), ("dimse", 0, False)]
    ):
        await pool.execute(
            "INSERT INTO sources.source (source_id, name, kind, spec, failures, paused)"
            " VALUES ($1, $2, $3, '{}', $4, $5)",
            new_id(),
            f"DOE^JOHN{number}",
            kind,
            failures,
            paused,
        )

    found = await looked_up(tmp_path, WorkGauges(pool))

    for health in ("healthy", "failing", "paused"):
        assert found.value("heimdallr_sources", kind="orthanc", health=health) == 1
    assert found.value("heimdallr_sources", kind="dimse", health="failing") == 0
    assert "DOE" not in str(found.families)


async def test_figures_of_a_database_that_is_away_are_left_out(tmp_path: Path, pool: Pool) -> None:
    await apply(pool, PACKAGES)
    await looked_up(tmp_path, WorkGauges(pool))
    await pool.execute("DROP SCHEMA workflow CASCADE")

    found = await looked_up(tmp_path, WorkGauges(pool))

    samples = [s for family in found.families.values() for s in family.samples]
    assert not [s for s in samples if s.name in ("heimdallr_studies", "heimdallr_stages")]
    assert found.value("heimdallr_queue_depth") != found.value("heimdallr_queue_depth")
    assert found.value("heimdallr_metrics_gatherings_total", outcome="failed") >= 1


async def test_many_scrapes_cost_one_look(tmp_path: Path, pool: Pool) -> None:
    await apply(pool, PACKAGES)
    gauges = WorkGauges(pool)
    first = await looked_up(tmp_path, gauges)
    await add_stage(pool, "convert", "pending", waits_s=5)

    second = await looked_up(tmp_path, gauges)

    assert first.value("heimdallr_queue_depth") == second.value("heimdallr_queue_depth") == 0
