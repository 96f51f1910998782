"""Ends calls that take longer than the server allows, whatever the caller asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from services.runtime.interceptors.around import AroundInterceptor, IncomingCall


class DeadlineInterceptor(AroundInterceptor):
    """Bounds calls with one request and one answer; streams last as long as their work.

    Args:
        longest_s: Longest time such a call may take, in seconds.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s

    @asynccontextmanager
    async def around(self, call: IncomingCall) -> AsyncIterator[None]:
        """See the class."""
        if call.streams_answer or call.request is None:
            yield
            return
        timer = asyncio.timeout(self._longest_s)
        try:
            async with timer:
                yield
        except TimeoutError:
            if not timer.expired():
                raise
            await call.context.abort(
                grpc.StatusCode.DEADLINE_EXCEEDED, "the server's deadline passed"
            )
