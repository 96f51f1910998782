"""The server's own deadline."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc

from tests.support.interceptor_calls import (
    failing_call,
    serving,
)
from tests.support.tested_service import (
    PERMISSION,
    answers,
    start_call,
)


async def test_the_servers_deadline_ends_a_unary_call(tmp_path: Path) -> None:
    async def behaviour(_context: Any) -> None:
        await asyncio.sleep(30)

    async with serving(tmp_path, behaviour, unary_deadline_s=0.05) as running:
        error = await failing_call(running, "UnaryUnary")

        assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_handlers_own_timeout_is_not_the_servers(tmp_path: Path) -> None:
    async def behaviour(_context: Any) -> None:
        raise TimeoutError

    async with serving(tmp_path, behaviour) as running:
        error = await failing_call(running, "UnaryUnary")

        assert error.code is grpc.StatusCode.INTERNAL


async def test_the_servers_deadline_leaves_streams_alone(tmp_path: Path) -> None:
    async def behaviour(_context: Any) -> None:
        await asyncio.sleep(0.2)

    async with serving(tmp_path, behaviour, unary_deadline_s=0.05) as running:
        names = await answers(start_call(running.channel(PERMISSION), "UnaryStream"))

        assert names == ["first", "second"]
