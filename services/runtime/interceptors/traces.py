"""Traces calls, where traces are on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from services.runtime import telemetry
from services.runtime.correlation import correlation_id
from services.runtime.interceptors.around import AroundInterceptor, IncomingCall
from services.runtime.interceptors.status import code_set
from services.runtime.permissions import OPEN_METHODS


class TraceInterceptor(AroundInterceptor):
    """Makes a span of each call, below that of its caller."""

    @asynccontextmanager
    async def around(self, call: IncomingCall) -> AsyncIterator[None]:
        """See the class; questions after our health are left out."""
        if call.method in OPEN_METHODS:
            yield
            return
        begun = telemetry.begin_call(call.method, call.metadata(telemetry.METADATA_KEY))
        otherwise = grpc.StatusCode.CANCELLED
        try:
            yield
            otherwise = grpc.StatusCode.OK
        finally:
            telemetry.end_call(begun, code_set(call.context) or otherwise.name, correlation_id())
