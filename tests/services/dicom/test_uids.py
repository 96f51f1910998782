from __future__ import annotations

import pytest

from services.dicom import uids
from services.dicom.errors import InvalidUidError, MalformedError


@pytest.mark.parametrize(
    "text",
    [
        "1.2.840.10008.1.2",
        "0.0",
        "2.25.308098194143441124562362260923698121550",
        "1.2.0840.1",  # a leading zero: forbidden, yet sent
        "1." + "2" * 62,
    ],
)
def test_digits_and_dots_up_to_64_characters_are_a_uid(text: str) -> None:
    assert uids.valid_uid(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", ".", "1.", ".1", "1..2", "1.2 ", "1.2\n", "1.2\0", "1.a", "../../etc", "1.2/3"),
        "1." + "2" * 63,
        "\uff11.\uff12",
        "1.\u0663",
    ],
)
def test_anything_else_is_no_uid(text: str) -> None:
    assert not uids.valid_uid(text)


def test_the_error_names_the_field_and_not_the_value() -> None:
    with pytest.raises(InvalidUidError) as caught:
        uids.require_uid("StudyInstanceUID", "secret")

    assert caught.value.field == "StudyInstanceUID"
    assert "secret" not in str(caught.value)


def test_new_uids_differ_and_derived_ones_do_not() -> None:
    assert uids.new_uid() != uids.new_uid()
    assert uids.derived_uid("a") == uids.derived_uid("a") != uids.derived_uid("b")
    assert uids.valid_uid(uids.new_uid())
    assert uids.valid_uid(uids.derived_uid("a"))


# Explicit VR, little endian, deflated, encapsulated: PS3.5 Annex A.
@pytest.mark.parametrize(
    ("uid", "expected"),
    [
        ("1.2.840.10008.1.2", (False, True, False, False)),
        ("1.2.840.10008.1.2.1", (True, True, False, False)),
        ("1.2.840.10008.1.2.1.98", (True, True, False, True)),
        ("1.2.840.10008.1.2.1.99", (True, True, True, False)),
        ("1.2.840.10008.1.2.2", (True, False, False, False)),
        ("1.2.840.10008.1.2.4.50", (True, True, False, True)),
        ("1.2.840.10008.1.2.4.95", (True, True, True, False)),
        ("1.2.840.10008.1.2.5", (True, True, False, True)),
        ("1.2.3.4.5", (True, True, False, True)),
    ],
)
def test_a_transfer_syntax_says_how_it_encodes(
    uid: str, expected: tuple[bool, bool, bool, bool]
) -> None:
    syntax = uids.transfer_syntax(uid)

    assert expected == (
        syntax.explicit_vr,
        syntax.little_endian,
        syntax.deflated,
        syntax.encapsulated,
    )


def test_a_syntax_that_encodes_no_stored_data_set_is_refused() -> None:
    with pytest.raises(MalformedError):
        uids.transfer_syntax("1.2.840.10008.1.2.6.2")


def test_storage_classes_are_known_and_others_are_not() -> None:
    assert uids.is_storage_sop_class("1.2.840.10008.5.1.4.1.1.2")
    assert uids.is_storage_sop_class("1.2.840.10008.5.1.4.1.1.104.1")
    assert uids.is_storage_sop_class("1.2.840.10008.5.1.4.1.1.11.1") is True
    assert not uids.is_storage_sop_class("1.2.840.10008.1.1")
    assert not uids.is_storage_sop_class("1.2.840.10008.1.20.1")
    assert not uids.is_storage_sop_class("1.2.840.10008.1.3.10")
    assert uids.sop_class_name("1.2.840.10008.5.1.4.1.1.2") == "CT Image Storage"
    assert uids.sop_class_name("1.2.3") == ""
