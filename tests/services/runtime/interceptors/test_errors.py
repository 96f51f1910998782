"""What a handler raises, as its caller sees it, for each kind of handler."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import grpc
import structlog

from services.runtime import logs
from services.runtime.errors import BlobNotFoundError
from tests.support.interceptor_calls import (
    CANARY,
    SHA256,
    eventually,
    every_kind,
    failing_call,
    serving,
)


@every_kind
async def test_a_service_error_arrives_with_its_reason(tmp_path: Path, kind: str) -> None:
    async def behaviour(_context: Any) -> None:
        raise BlobNotFoundError(SHA256)

    async with serving(tmp_path, behaviour) as running:
        error = await failing_call(running, kind)

        assert error.code is grpc.StatusCode.NOT_FOUND
        assert error.reason == "ERROR_REASON_BLOB_NOT_FOUND"
        assert error.metadata == {"sha256": SHA256}
        outcome = running.trail.outcomes[running.trail.entries[0].entry_id]
        assert (outcome.code, outcome.reason) == ("NOT_FOUND", "ERROR_REASON_BLOB_NOT_FOUND")


@every_kind
async def test_an_unexpected_error_tells_nothing(tmp_path: Path, kind: str) -> None:
    async def behaviour(_context: Any) -> None:
        raise ValueError(f"cannot parse {CANARY}")

    output = io.StringIO()
    async with serving(tmp_path, behaviour) as running:
        logs.configure_logs("INFO", "tested", output)
        try:
            error = await failing_call(running, kind)
        finally:
            structlog.reset_defaults()

        assert (error.code, error.text) == (grpc.StatusCode.INTERNAL, "internal error")
        assert running.trail.outcomes[running.trail.entries[0].entry_id].code == "INTERNAL"
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    unexpected = next(line for line in lines if line["event"] == "call.unexpected_error")
    assert unexpected["error_type"] == "ValueError"
    assert any(":behaviour" in frame for frame in unexpected["frames"])
    assert "DOE" not in output.getvalue()


@every_kind
async def test_a_status_that_a_handler_aborts_with_is_kept(tmp_path: Path, kind: str) -> None:
    async def behaviour(context: Any) -> None:
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "too far")

    async with serving(tmp_path, behaviour) as running:
        error = await failing_call(running, kind)

        assert (error.code, error.text) == (grpc.StatusCode.OUT_OF_RANGE, "too far")
        await eventually(lambda: running.trail.outcomes)
        outcome = running.trail.outcomes[running.trail.entries[0].entry_id]
        assert outcome.code == "OUT_OF_RANGE"
