"""Turns what a handler raises into a gRPC status."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import grpc
import grpc_status.rpc_status

from services.runtime import logs
from services.runtime.errors import ServiceError
from services.runtime.interceptors.around import AroundInterceptor, IncomingCall

UNEXPECTED_ERROR: Final = "call.unexpected_error"


class ErrorInterceptor(AroundInterceptor):
    """Sends a `ServiceError` with its reason and anything else as INTERNAL without a text."""

    @asynccontextmanager
    async def around(self, call: IncomingCall) -> AsyncIterator[None]:
        """See the class; cancellation passes."""
        try:
            yield
        except ServiceError as error:
            await _abort(call, error)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            logs.get_logger().error(UNEXPECTED_ERROR, method=call.method, **logs.failure(error))
            await call.context.abort(grpc.StatusCode.INTERNAL, "internal error")


async def _abort(call: IncomingCall, error: ServiceError) -> None:
    status = grpc_status.rpc_status.to_status(error.to_status())
    metadata = (*call.context.trailing_metadata(), *status.trailing_metadata)
    await call.context.abort(error.code, error.message, metadata)
