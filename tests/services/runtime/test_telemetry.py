"""Traces, taken by a real OTLP collector."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from services.runtime import telemetry
from services.runtime.correlation import set_correlation_id
from services.runtime.errors import BlobCorruptError
from services.runtime.postgres import Pool, transaction
from services.runtime.settings import RuntimeSettings, SettingsError, read_settings
from tests.support.interceptor_calls import CANARY, every_kind, failing_call, serving
from tests.support.mesh import runtime_settings
from tests.support.otlp_collector import Collector, attributes, otlp_collector
from tests.support.tested_service import PERMISSION, answers, nothing, path, start_call
from tests.support.tokens import TestTokens

STUDY = "01a1fe65-4036-7068-815a-f87418a51896"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def traced_calls(
    folder: Path, behaviour: Any, act: Callable[[Any], Awaitable[object]]
) -> Collector:
    async with otlp_collector() as collector:
        async with (
            telemetry.exported(collector.endpoint, "tested"),
            serving(folder, behaviour, otlp_endpoint=collector.endpoint) as running,
        ):
            await act(running)
        await collector.until(lambda: collector.spans)
    return collector


@every_kind
async def test_a_call_is_a_span_with_method_code_and_correlation(tmp_path: Path, kind: str) -> None:
    async def act(running: Any) -> None:
        set_correlation_id("seen-from-outside")
        await answers(start_call(running.channel(PERMISSION), kind))

    collector = await traced_calls(tmp_path, nothing, act)

    [span] = collector.named(path(kind).removeprefix("/"))
    assert attributes(span) == {
        "heimdallr.method": path(kind),
        "heimdallr.code": "OK",
        "heimdallr.correlation_id": "seen-from-outside",
    }
    assert span.end_time_unix_nano > span.start_time_unix_nano
    assert collector.resources[0]["service.name"] == "tested"


async def test_a_call_belongs_to_the_trace_of_whoever_makes_it(tmp_path: Path) -> None:
    async def act(running: Any) -> None:
        with telemetry.span("stage.attempt", {"study_id": STUDY, "stage": "convert"}):
            await answers(start_call(running.channel(PERMISSION), "UnaryStream"))

    collector = await traced_calls(tmp_path, nothing, act)

    [caller] = collector.named("stage.attempt")
    [called] = collector.named(path("UnaryStream").removeprefix("/"))
    assert called.trace_id == caller.trace_id
    assert called.parent_span_id == caller.span_id
    assert attributes(caller) == {"heimdallr.study_id": STUDY, "heimdallr.stage": "convert"}


async def test_a_trace_begun_elsewhere_goes_on_without_its_free_text(tmp_path: Path) -> None:
    given = (("traceparent", TRACEPARENT), ("tracestate", f"vendor={CANARY}"))

    async def act(running: Any) -> None:
        call = start_call(running.channel(PERMISSION), "UnaryUnary", metadata=given)
        await answers(call)

    collector = await traced_calls(tmp_path, nothing, act)

    [span] = collector.named(path("UnaryUnary").removeprefix("/"))
    assert span.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert span.parent_span_id.hex() == "b7ad6b7169203331"
    assert CANARY.encode() not in collector.raw


async def test_a_trace_id_that_is_none_is_not_taken_over(tmp_path: Path) -> None:
    async def act(running: Any) -> None:
        metadata = (("traceparent", CANARY),)
        await answers(start_call(running.channel(PERMISSION), "UnaryUnary", metadata=metadata))

    collector = await traced_calls(tmp_path, nothing, act)

    [span] = collector.named(path("UnaryUnary").removeprefix("/"))
    assert span.parent_span_id == b""
    assert CANARY.encode() not in collector.raw


async def test_no_text_of_an_error_is_exported(tmp_path: Path) -> None:
    async def corrupt(_context: object) -> None:
        with telemetry.span("inside", {"stage": CANARY, "patient_name": CANARY}):
            raise ValueError(CANARY)

    async def act(running: Any) -> None:
        await failing_call(running, "UnaryUnary")

    collector = await traced_calls(tmp_path, corrupt, act)

    [inside] = collector.named("inside")
    [call] = collector.named(path("UnaryUnary").removeprefix("/"))
    assert attributes(inside) == {"error.type": "ValueError"}
    assert attributes(call)["heimdallr.code"] == "INTERNAL"
    assert CANARY.encode() not in collector.raw


async def test_a_refused_call_keeps_its_code(tmp_path: Path) -> None:
    async def corrupt(_context: object) -> None:
        raise BlobCorruptError("0" * 64)

    async def act(running: Any) -> None:
        await failing_call(running, "StreamStream")

    collector = await traced_calls(tmp_path, corrupt, act)

    [span] = collector.named(path("StreamStream").removeprefix("/"))
    assert attributes(span)["heimdallr.code"] == "DATA_LOSS"


@pytest.mark.postgres
async def test_a_transaction_is_a_span_of_the_work_it_belongs_to(pool: Pool) -> None:
    async with otlp_collector() as collector:
        async with telemetry.exported(collector.endpoint, "tested"):
            async with transaction(pool) as borrowed:
                await borrowed.execute("SELECT 1")
            with telemetry.span("stage.attempt"):
                async with transaction(pool) as borrowed:
                    await borrowed.execute("SELECT 1")
        await collector.until(lambda: collector.named("stage.attempt"))

    [inner] = collector.named("postgres.transaction")
    [outer] = collector.named("stage.attempt")
    assert inner.parent_span_id == outer.span_id


async def test_without_a_collector_nothing_is_traced_or_passed_on(tmp_path: Path) -> None:
    seen: list[str] = []

    async def look(context: grpc.aio.ServicerContext[Any, Any]) -> None:
        seen.extend(str(key) for key, _ in context.invocation_metadata() or ())

    async with serving(tmp_path, look) as running:
        with telemetry.span("stage.attempt"):
            await answers(start_call(running.channel(PERMISSION), "UnaryUnary"))

    assert "authorization" in seen
    assert telemetry.METADATA_KEY not in seen


async def test_a_collector_that_is_away_holds_nobody_up(tmp_path: Path) -> None:
    begin = time.monotonic()

    async with (
        telemetry.exported("http://127.0.0.1:9", "tested"),
        serving(tmp_path, nothing, otlp_endpoint="http://127.0.0.1:9") as running,
    ):
        await answers(start_call(running.channel(PERMISSION), "UnaryUnary"))

    assert time.monotonic() - begin < 6


async def test_no_share_of_traces_means_no_spans(tmp_path: Path) -> None:
    async with (
        otlp_collector() as collector,
        # The inner one ends first and sends what it has.
        telemetry.exported(collector.endpoint, "tested", share=0.0),
    ):
        for _ in range(20):
            with telemetry.span("stage.attempt"):
                await asyncio.sleep(0)

    assert collector.spans == []


@pytest.mark.parametrize("endpoint", ["127.0.0.1:4317", "ftp://x", "http://", "http://a b"])
def test_an_endpoint_that_is_no_url_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    settings = runtime_settings(tmp_path, TestTokens.create(tmp_path))
    for name, value in settings:
        if value is not None:
            monkeypatch.setenv(f"HEIMDALLR_{name.upper()}", str(value))
    monkeypatch.setenv("HEIMDALLR_OTLP_ENDPOINT", endpoint)

    with pytest.raises(SettingsError, match="HEIMDALLR_OTLP_ENDPOINT"):
        read_settings(RuntimeSettings)
