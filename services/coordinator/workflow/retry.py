"""Whether failed work is tried again or held for a person, without transport or database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Remedy(Enum):
    """What helps against a failure."""

    OUTAGE = "wait for a part of the system to come back"
    AGAIN = "try again a few times"
    PERSON = "only a person can help"


@dataclass(frozen=True, slots=True)
class Failure:
    """How a call failed.

    Attributes:
        code: Name of the gRPC status code, e.g. "UNAVAILABLE".
        reason: Name of the ``ErrorReason``; empty when the failure is not one of ours.
    """

    code: str
    reason: str = ""

    @property
    def short_code(self) -> str:
        """Stable code for people's screens, e.g. "MODEL_UNAVAILABLE"."""
        return self.reason.removeprefix("ERROR_REASON_") or self.code


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient we are.

    Attributes:
        failure_limit: Failures after which a stage is held.
        outage_limit: The same while a part of the system cannot be reached.
        first_delay_s: Delay after the first failure, in seconds; doubled each time.
        longest_delay_s: Longest delay, in seconds.
    """

    failure_limit: int = 5
    outage_limit: int = 8
    first_delay_s: float = 1.0
    longest_delay_s: float = 60.0


@dataclass(frozen=True, slots=True)
class RetryLater:
    """The stage is tried again after a delay in seconds; `text` says what was wrong."""

    delay_s: float
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The stage waits for a person; `text` is a sentence a radiographer understands."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class _Kind:
    remedy: Remedy
    clause: str
    sentence: str


_REASONS: Final[Mapping[str, _Kind]] = {
    "MODEL_UNAVAILABLE": _Kind(
        Remedy.OUTAGE,
        "the model server cannot be reached",
        "The model server is not running or cannot load the model. "
        "Replay this step once it is back.",
    ),
    "DEPENDENCY_UNAVAILABLE": _Kind(
        Remedy.OUTAGE,
        "a part of the system cannot be reached",
        "A part of the system that this step needs is not running. Replay it once it is back.",
    ),
    "STORAGE_FULL": _Kind(
        Remedy.OUTAGE,
        "there is no room to store results",
        "There is no room to store results. Make room and replay this step.",
    ),
    "MODEL_NOT_FOUND": _Kind(
        Remedy.PERSON, "the model is not installed", "The model is not installed."
    ),
    "MODEL_OUTPUT_INVALID": _Kind(
        Remedy.AGAIN,
        "the model gave an answer that is not allowed",
        "The model gave an answer that its description does not allow. It was not used.",
    ),
    "BLOB_NOT_FOUND": _Kind(
        Remedy.PERSON,
        "stored images cannot be found",
        "Stored images or results of this study cannot be found in the store.",
    ),
    "BLOB_CORRUPT": _Kind(
        Remedy.PERSON,
        "stored images are damaged",
        "Stored images or results of this study are damaged. Send the study again.",
    ),
    "TOOL_FAILED": _Kind(
        Remedy.AGAIN,
        "the conversion tool failed",
        "The conversion tool failed on this series.",
    ),
    "DEID_KEY_UNAVAILABLE": _Kind(
        Remedy.PERSON,
        "the key of the project cannot be read",
        "The key of this de-identification project cannot be read. "
        "Put it back and replay this step.",
    ),
    "DEID_PROJECT_NOT_FOUND": _Kind(
        Remedy.PERSON, "the project is gone", "There is no such de-identification project."
    ),
    "REPORT_FAILED": _Kind(
        Remedy.AGAIN, "the report could not be made", "The report could not be made."
    ),
    "ATTEMPTS_LOST": _Kind(
        Remedy.AGAIN,
        "the work was cut off",
        "This step was begun several times and each time cut off before its end.",
    ),
}
_UNREACHABLE: Final = _Kind(
    Remedy.OUTAGE,
    "the service cannot be reached",
    "A service that this step needs is not running. Replay this step once it is back.",
)
_SLOW: Final = _Kind(
    Remedy.AGAIN, "it took too long", "This step took longer than it may, each time it was tried."
)
_FAULT: Final = _Kind(
    Remedy.AGAIN,
    "an unexpected error came up",
    "An unexpected error came up each time this step was tried.",
)
_REJECTED: Final = _Kind(
    Remedy.PERSON,
    "the work was not accepted",
    "The service that should do this step did not accept the work.",
)
_CODES: Final[Mapping[str, _Kind]] = {
    "UNAVAILABLE": _UNREACHABLE,
    "CANCELLED": _UNREACHABLE,
    "RESOURCE_EXHAUSTED": _UNREACHABLE,
    "UNAUTHENTICATED": _UNREACHABLE,
    "DEADLINE_EXCEEDED": _SLOW,
    "ABORTED": _FAULT,
    "INTERNAL": _FAULT,
    "UNKNOWN": _FAULT,
}


def decide(
    failure: Failure, failure_count: int, policy: RetryPolicy, chance: float
) -> RetryLater | Hold:
    """Return what happens after a failure.

    Args:
        failure: How the call failed.
        failure_count: Failures so far, this one included.
        policy: How patient we are.
        chance: 0 to 1; spreads delays by a quarter either way, so that stages which failed
            together are not tried again together.
    """
    kind = _kind_of(failure)
    limit = {
        Remedy.OUTAGE: policy.outage_limit,
        Remedy.AGAIN: policy.failure_limit,
        Remedy.PERSON: 0,
    }[kind.remedy]
    if failure_count >= limit:
        return Hold(failure.short_code, kind.sentence)
    delay_s = min(policy.first_delay_s * 2.0 ** (failure_count - 1), policy.longest_delay_s)
    return RetryLater(delay_s * (0.75 + chance / 2), failure.short_code, kind.clause)


def _kind_of(failure: Failure) -> _Kind:
    known = _REASONS.get(failure.short_code)
    return known if known is not None else _CODES.get(failure.code, _REJECTED)
