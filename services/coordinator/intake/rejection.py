"""Why an instance is not taken, without transport."""

from __future__ import annotations

from enum import Enum


class RejectionReason(Enum):
    """Kinds of rejection, named as in ``heimdallr.errors.v1.ErrorReason``."""

    INVALID_FIELD = "ERROR_REASON_INVALID_FIELD"
    BLOB_NOT_FOUND = "ERROR_REASON_BLOB_NOT_FOUND"
    LIMIT_EXCEEDED = "ERROR_REASON_LIMIT_EXCEEDED"
    DEPENDENCY_UNAVAILABLE = "ERROR_REASON_DEPENDENCY_UNAVAILABLE"


class RejectedError(Exception):
    """One envelope is not taken; sending it again will not help.

    Args:
        field: Field that broke a rule, e.g. "attributes.study_instance_uid".
        rule: The rule. No value of the envelope.
    """

    def __init__(
        self, field: str, rule: str, reason: RejectionReason = RejectionReason.INVALID_FIELD
    ) -> None:
        super().__init__(field)
        self.field = field
        self.rule = rule
        self.reason = reason
