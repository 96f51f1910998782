"""Correlation ids and log lines around each kind of handler."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog

from services.runtime import logs
from services.runtime.correlation import correlation_id
from services.runtime.errors import BlobNotFoundError
from tests.support.interceptor_calls import (
    CANARY,
    SHA256,
    eventually,
    every_kind,
    serving,
)
from tests.support.tested_service import (
    PERMISSION,
    answers,
    nothing,
    path,
    start_call,
)


@every_kind
async def test_the_correlation_id_goes_in_and_comes_back(tmp_path: Path, kind: str) -> None:
    seen: list[str] = []

    async def behaviour(_context: Any) -> None:
        seen.append(correlation_id())

    async with serving(tmp_path, behaviour) as running:
        call = start_call(
            running.channel(PERMISSION), kind, metadata=(("x-correlation-id", "mine-1"),)
        )
        await answers(call)

        assert seen == ["mine-1"]
        assert (await call.trailing_metadata())["x-correlation-id"] == "mine-1"
        assert running.trail.entries[0].correlation_id == "mine-1"
        if kind.endswith("Stream"):
            assert (await call.initial_metadata())["x-correlation-id"] == "mine-1"


@every_kind
async def test_a_failed_call_returns_its_correlation_id(tmp_path: Path, kind: str) -> None:
    async def behaviour(_context: Any) -> None:
        raise BlobNotFoundError(SHA256)

    async with serving(tmp_path, behaviour) as running:
        call = start_call(
            running.channel(PERMISSION), kind, metadata=(("x-correlation-id", "mine-2"),)
        )
        with pytest.raises(grpc.aio.AioRpcError):
            await answers(call)

        assert (await call.trailing_metadata())["x-correlation-id"] == "mine-2"


@every_kind
async def test_a_malformed_correlation_id_is_replaced(tmp_path: Path, kind: str) -> None:
    seen: list[str] = []

    async def behaviour(_context: Any) -> None:
        seen.append(correlation_id())

    async with serving(tmp_path, behaviour) as running:
        channel = running.channel(PERMISSION)
        await answers(start_call(channel, kind, metadata=(("x-correlation-id", CANARY),)))

        assert CANARY not in seen
        assert len(seen[0]) == 36


@every_kind
async def test_each_call_is_one_log_line(tmp_path: Path, kind: str) -> None:
    output = io.StringIO()
    async with serving(tmp_path, nothing) as running:
        logs.configure_logs("INFO", "tested", output)
        try:
            await answers(start_call(running.channel(PERMISSION, subject="coordinator"), kind))
            await eventually(lambda: "call.ended" in output.getvalue())
        finally:
            structlog.reset_defaults()

    [line] = map(json.loads, output.getvalue().splitlines())
    assert line["method"] == path(kind)
    assert (line["code"], line["subject"], line["service"]) == ("OK", "coordinator", "tested")
    assert line["duration_s"] >= 0
    assert len(line["correlation_id"]) == 36
