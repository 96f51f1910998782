"""Peers that were turned away, kept in the audit trail without holding anybody up."""

from __future__ import annotations

import asyncio
import re
from typing import Final, Protocol

from heimdallr.access.v1.audit_action_pb2 import AuditAction
from services.runtime import logs
from services.runtime.audit import CallRecorder
from services.runtime.client import ServiceCallError
from services.runtime.errors import PermissionDeniedError

DENIED: Final = "peer.denied"
NOT_AUDITED: Final = "peer.denied_unaudited"
ASSOCIATE: Final = "A_ASSOCIATE"
TLS: Final = "TLS"
_METHOD: Final = "/dicom.Dimse/{}"
_NOT_A_WORD: Final = re.compile(r"[^A-Za-z0-9._-]")
_MOST: Final = 64
"""Records on their way; a flood of denials is logged, and counted, but not written whole."""


class Denials(Protocol):
    """Keeps who was turned away."""

    def note(self, operation: str, ae_title: str, rule: str) -> None:
        """Note a peer that was turned away.

        Args:
            operation: What it wanted, e.g. "A_ASSOCIATE", "C_FIND".
            ae_title: What it calls itself; "" if it did not get so far.
            rule: Why, in upper case.
        """
        ...


class LoggedDenials:
    """Keeps them in the log alone."""

    def note(self, operation: str, ae_title: str, rule: str) -> None:
        """See ``Denials``."""
        logs.get_logger().warning(DENIED, rule=rule)


class AuditedDenials:
    """Keeps them in the log and in the audit trail.

    Args:
        recorder: Writes the trail.
    """

    def __init__(self, recorder: CallRecorder) -> None:
        self._recorder = recorder
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, operation: str, ae_title: str, rule: str) -> None:
        """See ``Denials``."""
        logs.get_logger().warning(DENIED, rule=rule)
        if len(self._tasks) >= _MOST:
            logs.get_logger().warning(NOT_AUDITED, rule=rule)
            return
        task = asyncio.create_task(self._write(operation, ae_title))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, operation: str, ae_title: str) -> None:
        try:
            await self._recorder.deny(
                method_of(operation),
                AuditAction.AUDIT_ACTION_SIGN_IN,
                subject_of(ae_title),
                None,
                PermissionDeniedError("dicom"),
            )
        except ServiceCallError as error:
            logs.get_logger().error(NOT_AUDITED, **logs.failure(error))


def method_of(operation: str) -> str:
    """Return the name of an operation in the audit trail, such as "/dicom.Dimse/C_FIND"."""
    return _METHOD.format(operation)


def subject_of(ae_title: str) -> str:
    """Return a peer's name in the audit trail, such as "ae.CT1"."""
    return f"ae.{_NOT_A_WORD.sub('_', ae_title)}" if ae_title else "ae."
