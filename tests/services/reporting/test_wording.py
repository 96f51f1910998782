"""How values are written for people."""

from __future__ import annotations

import pytest

from services.reporting import wording


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (2859.127, "2859"),
        (812.55, "812.5"),
        (-846.4412, "-846.4"),
        (12.3456, "12.35"),
        (0.12345, "0.1235"),
        (0.0001234, "1.234e-04"),
        (123456789.0, "1.235e+08"),
    ],
)
def test_numbers_have_about_four_digits(value: float, written: str) -> None:
    assert wording.number(value) == written


@pytest.mark.parametrize(
    ("value", "ucum", "written"),
    [
        (2603.84, "mL", "2,603.8"),
        (12.3456, "mL", "12.3"),
        (0, "mL", "0.0"),
        (1234567.89, "mL", "1,234,567.9"),
        (12345678.9, "mL", "1.235e+07"),
        (-846.4412, "[hnsf'U]", "-846.4"),
        (-1024, "[hnsf'U]", "-1,024.0"),
        (-0.01, "[hnsf'U]", "0.0"),
        (2603.84, "mm", "2604"),
    ],
)
def test_volumes_and_hounsfield_units_have_one_decimal(
    value: float, ucum: str, written: str
) -> None:
    assert wording.number(value, ucum) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [("19700131", "1970-01-31"), ("1970", "1970"), ("", ""), ("1970.01.31", "1970.01.31")],
)
def test_dates_are_written_with_hyphens_and_others_kept(value: str, written: str) -> None:
    assert wording.date(value) == written


@pytest.mark.parametrize(
    ("value", "written"), [("081530.25", "08:15:30"), ("0815", "08:15"), ("8", "8")]
)
def test_times_are_written_to_the_second(value: str, written: str) -> None:
    assert wording.time(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("DOE^JOHN", "DOE, JOHN"),
        ("DOE^JOHN^M^Dr^Jr", "DOE, JOHN M Dr Jr"),
        ("YAMADA^TAROU=\u5c71\u7530^\u592a\u90ce", "YAMADA, TAROU / \u5c71\u7530, \u592a\u90ce"),
        ("^JOHN", "JOHN"),
        ("", ""),
    ],
)
def test_names_are_in_reading_order(value: str, written: str) -> None:
    assert wording.person_name(value) == written


@pytest.mark.parametrize(
    ("ucum", "sign"), [("mL", "mL"), ("[hnsf'U]", "HU"), ("mm2", "mm²"), ("[odd]", "[odd]")]
)
def test_units_have_their_usual_sign(ucum: str, sign: str) -> None:
    assert wording.unit(ucum) == sign
