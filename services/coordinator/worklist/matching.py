"""The statements that find scheduled steps: fixed fragments, every value a bound parameter.

Source: PS3.4 C.2.2.2 (matching kinds) and K.6.1.2.2 (matching keys of the worklist).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from services.coordinator.archive.words import folded
from services.coordinator.worklist.scheduled_step import ScheduledState, StepFilter, StepKey
from services.runtime.errors import InvalidFieldError

_COLUMNS: Final = "scheduled_step_id, state, spec, create_time, update_time"
_FROM: Final = f"SELECT {_COLUMNS} FROM worklist.scheduled_step WHERE "  # noqa: S608 - fixed
_DATE: Final = "ScheduledProcedureStepStartDate"
_TIME: Final = "ScheduledProcedureStepStartTime"
_STATION: Final = "ScheduledStationAETitle"
_STATUS: Final = "ScheduledProcedureStepStatus"
_PATIENT_NAME: Final = "PatientName"
_TEXTS: Final[Mapping[str, str]] = {
    "Modality": "modality",
    "PatientID": "patient_id",
    "AccessionNumber": "accession_number",
    "RequestedProcedureID": "requested_procedure_id",
    "ScheduledProcedureStepID": "step_id",
    "StudyInstanceUID": "study_instance_uid",
    "IssuerOfPatientID": "spec -> 'patient' ->> 'issuer_of_patient_id'",
    "PatientSex": "spec -> 'patient' ->> 'patient_sex'",
    "ScheduledProcedureStepDescription": "spec ->> 'description'",
    "ScheduledStationName": "spec ->> 'station_name'",
    "ScheduledProcedureStepLocation": "spec ->> 'location'",
    "RequestedProcedureDescription": "spec -> 'procedure' ->> 'description'",
    "RequestedProcedurePriority": "spec -> 'procedure' ->> 'priority'",
}
_NAMES: Final[Mapping[str, str]] = {
    _PATIENT_NAME: "patient_name_folded",
    "ScheduledPerformingPhysicianName": "lower(spec ->> 'performing_physician_name')",
    "ReferringPhysicianName": "lower(spec -> 'procedure' ->> 'referring_physician_name')",
}
_RANGES: Final[Mapping[str, str]] = {
    _DATE: "left(start, 8)",
    _TIME: "right(start, 6)",
    "PatientBirthDate": "spec -> 'patient' ->> 'patient_birth_date'",
}
# Defined terms of (0040,0020), PS3.3 C.4.10, and the names of our own states.
_STATUSES: Final[Mapping[str, ScheduledState]] = {
    "SCHEDULED": ScheduledState.SCHEDULED,
    "ARRIVED": ScheduledState.SCHEDULED,
    "READY": ScheduledState.SCHEDULED,
    "STARTED": ScheduledState.STARTED,
    "DEPARTED": ScheduledState.COMPLETED,
    **{state.name: state for state in ScheduledState},
}
_LAST_TIME: Final = "235959"


@dataclass(frozen=True, slots=True)
class Match:
    """One matching key.

    Attributes:
        keyword: Keyword of the attribute (PS3.6).
        values: Exactly one of these, when there are any.
        wildcard: With '*' and '?', when not empty.
        low: Lowest value of a range; None when it is no range, empty when open.
        high: The highest.
    """

    keyword: str
    values: tuple[str, ...] = ()
    wildcard: str = ""
    low: str | None = None
    high: str | None = None

    @property
    def is_range(self) -> bool:
        """Whether it is a range."""
        return self.low is not None


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement and its parameters."""

    text: str
    parameters: tuple[object, ...]


@dataclass(slots=True)
class _Conditions:
    texts: list[str] = field(default_factory=list)
    parameters: list[object] = field(default_factory=list)

    def add(self, text: str, *values: object) -> None:
        """Add a condition; ``{}`` stands for the next value."""
        first = len(self.parameters) + 1
        self.texts.append(text.format(*(f"${first + n}" for n in range(len(values)))))
        self.parameters.extend(values)

    def statement(self, limit: int) -> Statement:
        """Return all of it, by start, at most so many rows."""
        where = " AND ".join(self.texts) or "true"
        text = f"{_FROM}{where} ORDER BY start, scheduled_step_id LIMIT {int(limit)}"
        return Statement(text, tuple(self.parameters))


def query_statement(
    matches: Sequence[Match], limit: int, after: StepKey | None = None
) -> Statement:
    """Return the statement that finds what a Modality Worklist C-FIND asks for.

    Raises:
        InvalidFieldError: A keyword is no matching key, or cannot match that way.
    """
    by_keyword = {match.keyword: match for match in matches}
    conditions = _Conditions()
    if _STATUS not in by_keyword:
        conditions.add("state IN ('scheduled', 'started')")
    if all(one in by_keyword and by_keyword[one].is_range for one in (_DATE, _TIME)):
        _moments(conditions, by_keyword.pop(_DATE), by_keyword.pop(_TIME))
    for match in by_keyword.values():
        _add(conditions, match)
    _go_on(conditions, after)
    return conditions.statement(limit)


def list_statement(wanted: StepFilter, limit: int, after: StepKey | None) -> Statement:
    """Return the statement that lists steps."""
    conditions = _Conditions()
    for value, text in (
        (wanted.state and wanted.state.value, "state = {}"),
        (wanted.scheduled_station_ae_title, "{} = ANY (station_ae_titles)"),
        (wanted.modality, "modality = {}"),
        (wanted.start_date_from, "start >= {}"),
        (wanted.start_date_to and wanted.start_date_to + _LAST_TIME, "start <= {}"),
        (wanted.patient_id, "patient_id = {}"),
        (wanted.accession_number, "accession_number = {}"),
    ):
        if value:
            conditions.add(text, value)
    _go_on(conditions, after)
    return conditions.statement(limit)


def _go_on(conditions: _Conditions, after: StepKey | None) -> None:
    if after is not None:
        conditions.add(
            "(start, scheduled_step_id) > ({}, {}::uuid)", after.start, after.scheduled_step_id
        )


def _moments(conditions: _Conditions, dates: Match, times: Match) -> None:
    # Both ranges together are one of moments, not every day's hours (PS3.4 K.6.1.2.2).
    if dates.low:
        conditions.add("start >= {}", dates.low + _clock(times.low, "000000"))
    if dates.high:
        conditions.add("start <= {}", dates.high + _clock(times.high, _LAST_TIME))
    if not dates.low and times.low:
        conditions.add("right(start, 6) >= {}", _clock(times.low, "000000"))
    if not dates.high and times.high:
        conditions.add("right(start, 6) <= {}", _clock(times.high, _LAST_TIME))


def _add(conditions: _Conditions, match: Match) -> None:
    if match.keyword == _STATUS:
        _add_status(conditions, match)
    elif match.keyword == _STATION:
        _add_station(conditions, match)
    elif match.keyword in _RANGES:
        _add_range(conditions, match)
    elif match.keyword in _NAMES:
        _add_name(conditions, match)
    elif match.keyword in _TEXTS:
        _add_text(conditions, match, _TEXTS[match.keyword])
    else:
        raise InvalidFieldError("matches.keyword", "a matching key of the worklist")


def _add_text(conditions: _Conditions, match: Match, column: str) -> None:
    if match.is_range:
        raise InvalidFieldError("matches.range", "a date or a time")
    if match.wildcard:
        conditions.add(f"{column} LIKE {{}}", pattern(match.wildcard))
    else:
        conditions.add(f"{column} = ANY ({{}}::text[])", list(match.values))


def _add_name(conditions: _Conditions, match: Match) -> None:
    if match.is_range:
        raise InvalidFieldError("matches.range", "a date or a time")
    fold = folded if match.keyword == _PATIENT_NAME else str.lower
    column = _NAMES[match.keyword]
    # A name may have three component groups; a key may mean the whole or one (PS3.5 6.2.1).
    sought = [pattern(fold(match.wildcard))] if match.wildcard else []
    sought += [pattern(fold(one).rstrip("^"), literal=True) for one in match.values]
    conditions.add(
        f"(rtrim({column}, '^') LIKE ANY ({{}}::text[]) OR EXISTS (SELECT FROM "
        f"unnest(string_to_array({column}, '=')) AS part "
        "WHERE rtrim(part, '^') LIKE ANY ({}::text[])))",
        sought,
        sought,
    )


def _add_station(conditions: _Conditions, match: Match) -> None:
    if match.wildcard:
        conditions.add(
            "EXISTS (SELECT FROM unnest(station_ae_titles) AS station WHERE station LIKE {})",
            pattern(match.wildcard),
        )
    else:
        conditions.add("station_ae_titles && {}::text[]", [one.strip() for one in match.values])


def _add_status(conditions: _Conditions, match: Match) -> None:
    sought = [one.replace("[", "[[]") for one in (match.wildcard, *match.values)]
    wanted = {
        state.value
        for name, state in _STATUSES.items()
        if any(fnmatchcase(name, one) for one in sought)
    }
    conditions.add("state = ANY ({}::text[])", sorted(wanted))


def _add_range(conditions: _Conditions, match: Match) -> None:
    column = _RANGES[match.keyword]
    clock = match.keyword == _TIME
    if match.wildcard:
        raise InvalidFieldError("matches.wildcard", "not for dates and times")
    if not match.is_range:
        values = [_clock(one, "") if clock else one for one in match.values]
        exact = f"{column} = ANY ({{}}::text[])"
        conditions.add(exact, [value.ljust(6, "0") if clock else value for value in values])
        return
    if match.low:
        conditions.add(f"{column} >= {{}}", _clock(match.low, "000000") if clock else match.low)
    if match.high:
        conditions.add(f"{column} <= {{}}", _clock(match.high, _LAST_TIME) if clock else match.high)


def _clock(value: str | None, rest: str) -> str:
    """Return a TM value as HHMMSS, what it leaves out taken from another one."""
    digits = (value or "").partition(".")[0].replace(":", "")[:6]
    return digits + rest[len(digits) :]


def pattern(wildcard: str, *, literal: bool = False) -> str:
    """Return DICOM's wildcards as those of LIKE (PS3.4 C.2.2.2.4)."""
    escaped = wildcard.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped if literal else escaped.replace("*", "%").replace("?", "_")
