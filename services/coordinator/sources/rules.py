"""What may be registered of a source. A field that breaks a rule is named with the rule."""

from __future__ import annotations

import re
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.coordinator.sources.schedule import time_of_day
from services.coordinator.sources.source import Kind, Schedule, SourceSpec
from services.runtime.errors import InvalidFieldError

_MAX_NAME: Final = 64
_MAX_PATH: Final = 1024
_MAX_TIMES: Final = 24
_MAX_MODALITIES: Final = 16
_MODALITY: Final = re.compile(r"[A-Z0-9_]{1,16}")
_ZONE: Final = re.compile(r"[A-Za-z0-9_+/-]{0,64}")
_REST_PATH: Final = re.compile(r"(/[A-Za-z0-9_.~-]*)*")
_ORTHANC_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}")


def check_spec(spec: SourceSpec) -> None:
    """Check everything that is registered.

    Raises:
        InvalidFieldError: Field and rule that is broken.
    """
    name = spec.name
    _require(
        0 < len(name) <= _MAX_NAME and name == name.strip() and name.isprintable(),
        "spec.name",
        "1 to 64 printable characters, no space at either end",
    )
    _check_schedule(spec.schedule)
    if spec.kind is Kind.WATCH_FOLDER:
        _check_folder(spec)
    elif spec.kind is Kind.ORTHANC:
        _check_orthanc(spec)
    else:
        _check_filter(spec)


def check_orthanc_id(text: str) -> str:
    """Return an Orthanc's own id of a study, in the case that Orthanc writes.

    Raises:
        InvalidFieldError: It is none.
    """
    folded = text.lower()
    rule = "five groups of eight hexadecimal digits"
    _require(_ORTHANC_ID.fullmatch(folded) is not None, "orthanc_id", rule)
    return folded


def _check_schedule(schedule: Schedule) -> None:
    if not schedule.times:
        rule = "1 to 604800 seconds, or times of each day"
        _require(1 <= schedule.interval_s <= 604_800, "spec.schedule.interval_s", rule)
        return
    field = "spec.schedule.daily.times"
    _require(len(schedule.times) <= _MAX_TIMES, field, "1 to 24 times")
    for text in schedule.times:
        try:
            time_of_day(text)
        except ValueError:
            raise InvalidFieldError(field, "HH:MM") from None
    _check_zone(schedule.time_zone)


def _check_zone(name: str) -> None:
    known = _ZONE.fullmatch(name) is not None
    try:
        ZoneInfo(name or "UTC") if known else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = False
    _require(known, "spec.schedule.daily.time_zone", "an IANA time zone")


def _check_folder(spec: SourceSpec) -> None:
    path = spec.path
    plain = path.startswith("/") and path.isprintable() and len(path) <= _MAX_PATH
    rule = "an absolute path without .., at most 1024 characters"
    _require(plain and ".." not in path.split("/"), "spec.watch_folder.path", rule)
    _require(1 <= spec.settle_s <= 3600, "spec.watch_folder.settle_s", "1 to 3600 seconds")


def _check_orthanc(spec: SourceSpec) -> None:
    path = spec.rest_path
    plain = _REST_PATH.fullmatch(path) is not None and ".." not in path and len(path) <= _MAX_PATH
    _require(plain, "spec.orthanc.rest_path", "a path such as /orthanc, without ..")
    rule = "0 to 8760 hours"
    _require(0 <= spec.reconcile_every_h <= 8760, "spec.orthanc.reconcile_every_h", rule)


def _check_filter(spec: SourceSpec) -> None:
    field = f"spec.{spec.kind.value}.filter"
    _require(len(spec.modalities) <= _MAX_MODALITIES, f"{field}.modalities", "at most 16")
    plain = all(_MODALITY.fullmatch(modality) for modality in spec.modalities)
    _require(plain, f"{field}.modalities", "such as CT: capitals, digits, underscores")
    _require(1 <= spec.days_back <= 3650, f"{field}.days_back", "1 to 3650 days")


def _require(condition: bool, field: str, rule: str) -> None:
    if not condition:
        raise InvalidFieldError(field, rule)
