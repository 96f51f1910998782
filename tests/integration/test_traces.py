"""A study's way through the stack, as a collector of traces and Prometheus see it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from services.cli.stack.ports import free_ports
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from tests.support.dcmtk import storescu
from tests.support.otlp_collector import attributes, otlp_collector
from tests.support.running_stack import RunningStack
from tests.support.scrapes import Scrape, parsed

pytestmark = [pytest.mark.stack, pytest.mark.dcmtk]

CONVERSION: Final = "heimdallr.conversion.v1.ConversionService/ConvertSeries"
KEYS: Final = {
    "heimdallr.method",
    "heimdallr.code",
    "heimdallr.correlation_id",
    "heimdallr.study_id",
    "heimdallr.stage_id",
    "heimdallr.attempt_id",
    "heimdallr.attempt",
    "heimdallr.stage",
    "error.type",
}


async def test_a_study_is_traced_and_counted_without_a_word_of_the_patient(
    monkeypatch: pytest.MonkeyPatch, dcmtk: None, tmp_path: Path
) -> None:
    study = PhantomStudy()
    write_series(ChestCtPhantom(4, shape=(40, 96, 96)), tmp_path, study)
    [port] = free_ports(1)
    arguments = ("--metrics-port", str(port), "--without", "triton")
    async with otlp_collector() as collector:
        monkeypatch.setenv("HEIMDALLR_OTLP_ENDPOINT", collector.endpoint)
        stack = RunningStack(arguments=arguments)
        await asyncio.to_thread(stack.start)
        try:
            sent = await asyncio.to_thread(storescu, stack.dicom_port, [tmp_path], "+sd")
            await _converted(port)
            found = {name: await _scraped(port, name) for name in ("coordinator", "gateway")}
            await collector.until(lambda: collector.named(CONVERSION))
        finally:
            await asyncio.to_thread(stack.__exit__)

    assert sent.returncode == 0
    _check_counts(found["coordinator"], found["gateway"])
    [conversion] = collector.named(CONVERSION)
    [attempt] = [
        span
        for span in collector.named("stage.attempt")
        if attributes(span)["heimdallr.stage"] == "convert"
    ]
    assert conversion.trace_id == attempt.trace_id
    assert {key for span in collector.spans for key in attributes(span)} <= KEYS
    services = {resource["service.name"] for resource in collector.resources}
    assert {"coordinator", "conversion"} <= services
    for secret in (study.study_instance_uid, "PHANTOM", "STORESCU", "HEIMDALLR"):
        assert secret.encode() not in collector.raw


def _check_counts(coordinator: Scrape, gateway: Scrape) -> None:
    assert gateway.value("heimdallr_instances_received_total", outcome="stored") == 40
    assert gateway.value("heimdallr_associations_total", outcome="released") == 1
    for stage in ("plan", "describe", "convert"):
        counted = {"stage": stage, "outcome": "done"}
        assert coordinator.value("heimdallr_stage_attempts_total", **counted) == 1
        assert coordinator.value("heimdallr_stage_seconds_count", stage=stage) == 1
    assert coordinator.value("heimdallr_database_transactions_total", outcome="committed") > 10


async def _converted(port: int) -> None:
    converted = {"stage": "convert", "outcome": "done"}
    async with asyncio.timeout(120):
        count = 0.0
        while not count:
            await asyncio.sleep(0.5)
            coordinator = await _scraped(port, "coordinator")
            count = coordinator.value("heimdallr_stage_attempts_total", **converted)


async def _scraped(port: int, name: str) -> Scrape:
    url = f"http://127.0.0.1:{port}/metrics/{name}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return parsed(await answer.text())
