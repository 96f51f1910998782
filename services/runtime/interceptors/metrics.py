"""Counts and measures calls."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final

import grpc

from services.runtime.interceptors.around import AroundInterceptor, IncomingCall
from services.runtime.interceptors.status import code_set
from services.runtime.metrics import SERVER_CALLS, SERVER_IN_FLIGHT, SERVER_SECONDS, SIGN_INS

_ACCESS: Final = "/heimdallr.access.v1.AccessService"
_SIGN_INS: Final[Mapping[str, str]] = MappingProxyType(
    {f"{_ACCESS}/SignIn": "link", f"{_ACCESS}/SignInWithPassword": "password"}
)
_OK: Final = grpc.StatusCode.OK.name


class MetricsInterceptor(AroundInterceptor):
    """Counts each call by its method and code; only methods that are registered come here.

    A stream lasts as long as somebody watches: only calls with one answer are measured.
    """

    @asynccontextmanager
    async def around(self, call: IncomingCall) -> AsyncIterator[None]:
        """See the class."""
        in_flight = SERVER_IN_FLIGHT.labels("stream" if call.streams_answer else "unary")
        in_flight.inc()
        begin = time.perf_counter()
        otherwise = grpc.StatusCode.CANCELLED.name
        try:
            yield
            otherwise = _OK
        finally:
            in_flight.dec()
            if not call.streams_answer:
                SERVER_SECONDS.labels(call.method).observe(time.perf_counter() - begin)
            _count(call.method, code_set(call.context) or otherwise)


def _count(method: str, code: str) -> None:
    SERVER_CALLS.labels(method, code).inc()
    way = _SIGN_INS.get(method)
    if way is not None:
        SIGN_INS.labels(way, "accepted" if code == _OK else "refused").inc()
