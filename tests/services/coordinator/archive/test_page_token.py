"""Page tokens come back as they were given, and nothing else is taken for one."""

from __future__ import annotations

import base64
import string
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.coordinator.archive.page_token import (
    instance_key,
    instance_token,
    scope_of,
    study_key,
    study_token,
)
from services.coordinator.archive.study import InstanceKey, StudyKey, StudyOrder
from services.runtime.errors import InvalidFieldError

_SCOPE = scope_of("studies", 1)
_IDS = st.uuids().map(str)
_TIMES = st.datetimes(timezones=st.just(UTC))
_DAYS = st.text(string.digits, min_size=8, max_size=8) | st.just("")


@given(_TIMES, _IDS)
def test_a_time_comes_back(place: datetime, study_id: str) -> None:
    key = StudyKey(place, study_id)

    token = study_token(key, _SCOPE)

    assert study_key(token, _SCOPE, StudyOrder.RECEIVED_ASCENDING) == key


@given(_DAYS, _IDS)
def test_a_day_comes_back(place: str, study_id: str) -> None:
    key = StudyKey(place, study_id)

    token = study_token(key, _SCOPE)

    assert study_key(token, _SCOPE, StudyOrder.STUDY_DATE_DESCENDING) == key


@given(st.none() | st.integers(-(1 << 31), (1 << 31) - 1), _IDS)
def test_an_instance_comes_back(number: int | None, instance_id: str) -> None:
    key = InstanceKey(number, instance_id)

    assert instance_key(instance_token(key, _SCOPE), _SCOPE) == key


@given(st.text())
def test_a_text_is_no_token(text: str) -> None:
    with pytest.raises(InvalidFieldError):
        study_key(text, _SCOPE, StudyOrder.RECEIVED_DESCENDING)


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(StudyOrder))
def test_a_well_wrapped_text_is_no_token(place: str, row_id: str, order: StudyOrder) -> None:
    wrapped = base64.urlsafe_b64encode(f"{_SCOPE}.{place}.{row_id}".encode()).decode()

    with pytest.raises(InvalidFieldError):
        study_key(wrapped.rstrip("="), _SCOPE, order)


@given(_TIMES, _IDS, st.integers(0, 90), st.sampled_from(string.printable))
def test_a_changed_token_is_refused_or_names_a_place(
    place: datetime, study_id: str, at: int, char: str
) -> None:
    token = study_token(StudyKey(place, study_id), _SCOPE)
    changed = token[:at] + char + token[at + 1 :]

    try:
        key = study_key(changed, _SCOPE, StudyOrder.RECEIVED_DESCENDING)
    except InvalidFieldError:
        return

    assert study_token(key, _SCOPE) == changed


def test_a_token_of_another_request_is_refused() -> None:
    token = study_token(StudyKey("", "0190a0a0-0000-7000-8000-000000000000"), _SCOPE)

    with pytest.raises(InvalidFieldError):
        study_key(token, scope_of("studies", 2), StudyOrder.STUDY_DATE_DESCENDING)
