"""What can be wrong with DICOM bytes; no text here ever carries a value from them."""

from __future__ import annotations


class DicomError(Exception):
    """DICOM bytes that break a rule.

    Attributes:
        field: Keyword of the attribute, or name of the structure, at fault.
        rule: The rule that was broken, in words of ours.
    """

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


class NotDicomError(DicomError):
    """The bytes are not a DICOM file (PS3.10 section 7.1)."""


class MalformedError(DicomError):
    """The encoding breaks PS3.5 section 7, or is not the one that was declared."""


class TruncatedError(DicomError):
    """Something claims more bytes than there are."""


class LimitExceededError(DicomError):
    """A bound of ``Limits`` was reached."""


class MissingElementError(DicomError):
    """An attribute that every instance must have is absent or empty."""

    def __init__(self, field: str) -> None:
        super().__init__(field, "required and absent or empty")


class InvalidUidError(DicomError):
    """A value is not a UID (PS3.5 section 9.1)."""

    def __init__(self, field: str) -> None:
        super().__init__(field, "not a UID: up to 64 digits and dots")


class InconsistentError(DicomError):
    """Attributes contradict each other or their own definition."""
