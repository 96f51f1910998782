"""Correlates a call with what it causes and writes one log line about it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import grpc
import structlog

from services.runtime import logs
from services.runtime.correlation import METADATA_KEY, accept, set_correlation_id
from services.runtime.interceptors.around import AroundInterceptor, IncomingCall
from services.runtime.interceptors.status import code_set
from services.runtime.permissions import OPEN_METHODS

CALL_ENDED: Final = "call.ended"


class LogInterceptor(AroundInterceptor):
    """Takes the correlation id from the caller or makes one, returns it, and logs the call."""

    @asynccontextmanager
    async def around(self, call: IncomingCall) -> AsyncIterator[None]:
        """See the class; the id goes back in trailing and, for streams, initial metadata."""
        correlation_id = accept(call.metadata(METADATA_KEY))
        set_correlation_id(correlation_id)
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id)
        returned = ((METADATA_KEY, correlation_id),)
        call.context.set_trailing_metadata(returned)
        if call.streams_answer:
            await call.context.send_initial_metadata(returned)
        begin = time.monotonic()
        ended_well = False
        try:
            yield
            ended_well = True
        finally:
            _write_line(call, time.monotonic() - begin, ended_well=ended_well)


def _write_line(call: IncomingCall, duration_s: float, *, ended_well: bool) -> None:
    otherwise = grpc.StatusCode.OK if ended_well else grpc.StatusCode.CANCELLED
    log = logs.get_logger()
    write = log.debug if call.method in OPEN_METHODS else log.info
    write(
        CALL_ENDED,
        method=call.method,
        code=code_set(call.context) or otherwise.name,
        duration_s=round(duration_s, 6),
    )
