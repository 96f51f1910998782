"""Other names: the same under one key, none of another's, and dates that keep their distance."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deid.dates import capped_age, kept_time, shifted_date, shifted_date_time
from services.deid.pseudonyms import MAX_SHIFT_DAYS, Pseudonyms, WeakKeyError, patient_key
from services.dicom.uids import valid_uid

ONE, OTHER = Pseudonyms(b"1" * 32), Pseudonyms(b"2" * 32)


@given(st.text(max_size=80))
def test_a_uid_becomes_the_same_valid_uid_each_time(uid: str) -> None:
    found = ONE.uid(uid)

    assert valid_uid(found)
    assert found == Pseudonyms(b"1" * 32).uid(uid)


def test_uids_of_two_keys_share_nothing_and_registered_ones_stay() -> None:
    mine = {ONE.uid(f"1.2.3.{number}") for number in range(1000)}
    theirs = {OTHER.uid(f"1.2.3.{number}") for number in range(1000)}

    assert len(mine) == len(theirs) == 1000
    assert not mine & theirs
    assert ONE.uid("1.2.840.10008.1.2.1") == "1.2.840.10008.1.2.1"


def test_an_issuer_makes_another_patient_and_no_id_makes_one_of_each_study() -> None:
    keys = [patient_key("1", "", "s"), patient_key("1", "A", "s"), patient_key("", "", "s")]
    keys.append(patient_key("", "", "t"))

    assert len({ONE.patient(key) for key in keys}) == 4


def test_a_short_key_is_refused() -> None:
    with pytest.raises(WeakKeyError):
        Pseudonyms(b"short")


@given(st.text(max_size=20))
def test_a_shift_is_one_to_ten_years_back(patient: str) -> None:
    assert -MAX_SHIFT_DAYS <= ONE.shift_days(patient) <= -1


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(-MAX_SHIFT_DAYS, -1))
def test_a_date_moves_by_exactly_its_days(day: date, days: int) -> None:
    expected = (day + timedelta(days=days)).strftime("%Y%m%d")

    assert shifted_date(day.strftime("%Y%m%d"), days) == expected
    assert shifted_date(day.strftime("%Y.%m.%d"), days) == expected
    assert shifted_date_time(day.strftime("%Y%m%d") + "1011-0330", days) == expected + "1011-0330"


@pytest.mark.parametrize("value", ["", "20230229", "2023", "yesterday", "99999999", "00010101"])
def test_what_is_no_date_or_leaves_the_calendar_is_empty(value: str) -> None:
    assert shifted_date(value, -30) == ""
    assert shifted_date_time(value, -30) == ""


@pytest.mark.parametrize(
    ("value", "kept"), [("101112.5", "101112.5"), ("10:11", "10:11"), ("noon", ""), ("1", "")]
)
def test_times_stay_when_they_are_times(value: str, kept: str) -> None:
    assert kept_time(value) == kept


@pytest.mark.parametrize(
    ("age", "capped"),
    [("089Y", "089Y"), ("090Y", "090Y"), ("101Y", "090Y"), ("999M", "999M"), ("old", "")],
)
def test_ages_are_capped_at_ninety(age: str, capped: str) -> None:
    assert capped_age(age) == capped
