"""Writes a row before and after each call that its contract wants in the audit trail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime import logs
from services.runtime.audit import AuditTrail, CallRecorder
from services.runtime.errors import DependencyUnavailableError, ServiceError
from services.runtime.interceptors.around import AroundInterceptor, IncomingCall
from services.runtime.interceptors.status import code_set
from services.runtime.permissions import OPEN_METHODS, requirement
from services.runtime.tokens import current_caller

CALL_NOT_RECORDED: Final = "audit.call_not_recorded"
OUTCOME_NOT_RECORDED: Final = "audit.outcome_not_recorded"


class AuditInterceptor(AroundInterceptor):
    """Records audited calls; one that cannot be recorded does not run."""

    def __init__(self, trail: AuditTrail, service_name: str) -> None:
        self._recorder = CallRecorder(trail, service_name)
        self._endings: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def around(self, call: IncomingCall) -> AsyncIterator[None]:
        """See the class."""
        if call.method in OPEN_METHODS or not requirement(call.method).audited:
            yield
            return
        entry_id = await self._begin(call)
        code, reason = grpc.StatusCode.OK.name, ""
        try:
            yield
            code = code_set(call.context) or code
        except ServiceError as error:
            code, reason = error.code.name, ErrorReason.Name(error.reason)
            raise
        except grpc.aio.AbortError:
            code = code_set(call.context) or grpc.StatusCode.UNKNOWN.name
            raise
        except (asyncio.CancelledError, GeneratorExit):
            code = grpc.StatusCode.CANCELLED.name
            raise
        except BaseException:
            code = grpc.StatusCode.INTERNAL.name
            raise
        finally:
            await asyncio.shield(self._end(entry_id, code, reason))

    async def drain(self) -> None:
        """Wait for the outcomes that are still being written."""
        if self._endings:
            await asyncio.wait(self._endings)

    async def _begin(self, call: IncomingCall) -> str:
        action = requirement(call.method).audit_action
        subject = current_caller().subject
        try:
            return await self._recorder.begin(call.method, action, subject, call.request)
        except Exception as failure:
            logs.get_logger().warning(CALL_NOT_RECORDED, **logs.failure(failure))
            raise DependencyUnavailableError("audit") from None

    def _end(self, entry_id: str, code: str, reason: str) -> asyncio.Task[None]:
        task = asyncio.create_task(self._write_outcome(entry_id, code, reason))
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        return task

    async def _write_outcome(self, entry_id: str, code: str, reason: str) -> None:
        try:
            await self._recorder.end(entry_id, code, reason)
        except Exception as failure:
            logs.get_logger().error(
                OUTCOME_NOT_RECORDED, entry_id=entry_id, **logs.failure(failure)
            )
