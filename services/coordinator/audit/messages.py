"""Audited calls as messages, checked on their way in."""

from __future__ import annotations

import re
from typing import Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.audit.v1 import audit_service_pb2 as pb
from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.coordinator.audit.store import AuditedCall
from services.runtime.audit import AuditEntry, AuditOutcome
from services.runtime.audit_messages import (
    entry_from_proto,
    entry_to_proto,
    outcome_from_proto,
    outcome_to_proto,
)
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id

_WORD: Final = re.compile(r"[A-Za-z0-9._-]{0,64}")
_METHOD: Final = re.compile(r"/[A-Za-z0-9_.]{1,128}/[A-Za-z0-9_]{1,64}")
_REASONS: Final = frozenset(ErrorReason.keys()) | {""}
_END_OF_TIME_S: Final = 253_402_300_800
_CODES: Final = frozenset(code.name for code in grpc.StatusCode)


def checked_entry(message: pb.Entry) -> AuditEntry:
    """Return an entry that another service sent.

    Raises:
        InvalidFieldError: A field does not have the form the contract says.
    """
    _require(is_id(message.entry_id), "entry.entry_id", "one of our ids")
    _require(_is_time(message.begin_time), "entry.begin_time", "a time since 1970")
    _require(_is_word(message.subject), "entry.subject", "a name or an id")
    _require(_METHOD.fullmatch(message.method) is not None, "entry.method", "a full method")
    _require(message.action in AuditAction.values(), "entry.action", "a known action")
    _require(_is_word(message.correlation_id), "entry.correlation_id", "well formed")
    known_object = message.object_id == "" or is_id(message.object_id)
    _require(known_object, "entry.object_id", "one of our ids or empty")
    return entry_from_proto(message)


def checked_outcome(message: pb.Outcome) -> AuditOutcome:
    """Return an outcome that another service sent.

    Raises:
        InvalidFieldError: A field does not have the form the contract says.
    """
    _require(_is_time(message.end_time), "outcome.end_time", "a time since 1970")
    _require(message.code in _CODES, "outcome.code", "a gRPC status code")
    _require(message.reason in _REASONS, "outcome.reason", "an ErrorReason or empty")
    return outcome_from_proto(message)


def call_to_proto(call: AuditedCall) -> pb.AuditedCall:
    """Return an audited call as it goes on the wire."""
    outcome = outcome_to_proto(call.outcome) if call.outcome is not None else None
    return pb.AuditedCall(entry=entry_to_proto(call.entry), outcome=outcome)


def _is_time(time: Timestamp) -> bool:
    return 0 < time.seconds < _END_OF_TIME_S and 0 <= time.nanos < 1_000_000_000


def _is_word(text: str) -> bool:
    return _WORD.fullmatch(text) is not None


def _require(condition: bool, field: str, rule: str) -> None:
    if not condition:
        raise InvalidFieldError(field, rule)
