"""Rows before and after each kind of call."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.support.interceptor_calls import (
    eventually,
    every_kind,
    failing_call,
    serving,
)
from tests.support.tested_service import (
    ACTION,
    PERMISSION,
    REQUEST,
    answers,
    nothing,
    path,
    start_call,
)


@every_kind
async def test_an_allowed_call_is_answered_and_recorded(tmp_path: Path, kind: str) -> None:
    async with serving(tmp_path, nothing) as running:
        call = start_call(running.channel(PERMISSION, subject="coordinator"), kind)
        names = await answers(call)

        assert names == (["first", "second"] if kind.endswith("Stream") else ["first"])
        entry = running.trail.entries[0]
        assert (entry.subject, entry.method, entry.action) == ("coordinator", path(kind), ACTION)
        assert entry.object_id == (REQUEST.user_id if kind.startswith("Unary") else "")
        assert running.trail.outcomes[entry.entry_id].code == "OK"


@every_kind
async def test_a_call_that_cannot_be_recorded_does_not_run(tmp_path: Path, kind: str) -> None:
    ran: list[str] = []

    async def behaviour(_context: Any) -> None:
        ran.append("ran")

    async with serving(tmp_path, behaviour) as running:
        running.trail.broken = True
        error = await failing_call(running, kind, silent=True)

        assert error.code is grpc.StatusCode.UNAVAILABLE
        assert error.metadata == {"dependency": "audit"}
        assert ran == []


@every_kind
async def test_a_cancelled_call_is_recorded_as_cancelled(tmp_path: Path, kind: str) -> None:
    entered = asyncio.Event()

    async def behaviour(_context: Any) -> None:
        entered.set()
        await asyncio.sleep(60)

    async with serving(tmp_path, behaviour) as running:
        call = start_call(running.channel(PERMISSION), kind)
        waiting = asyncio.create_task(answers(call))
        await asyncio.wait_for(entered.wait(), 5)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        await eventually(lambda: running.trail.outcomes)
        outcome = running.trail.outcomes[running.trail.entries[0].entry_id]
        assert outcome.code == "CANCELLED"


@pytest.mark.parametrize("kind", ["UnaryStream", "StreamStream"])
async def test_a_stream_cancelled_between_answers_is_recorded(tmp_path: Path, kind: str) -> None:
    async with serving(tmp_path, nothing) as running:
        call = start_call(running.channel(PERMISSION), kind)
        await call.read()
        call.cancel()

        await eventually(lambda: running.trail.outcomes)
        outcome = running.trail.outcomes[running.trail.entries[0].entry_id]
        assert outcome.code in ("CANCELLED", "OK")
