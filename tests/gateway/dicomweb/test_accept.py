from __future__ import annotations

from http import HTTPStatus

import pytest

from gateway.dicomweb.accept import media_ranges
from gateway.dicomweb.forms import FrameForm, InstanceForm, frame_form, instance_form
from gateway.http.problem import Problem
from services.dicom.uids import transfer_syntax

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
JPEG_LS = "1.2.840.10008.1.2.4.80"
J2K = "1.2.840.10008.1.2.4.90"
OCTETS = "application/octet-stream"


@pytest.mark.parametrize(
    "text",
    [
        "multipart/related; type=application/octet-stream; transfer-syntax=*",
        'multipart/related; type="application/octet-stream"; transfer-syntax=*',
        'multipart/related;TYPE="application/octet-stream";Transfer-Syntax="*"',
        "text/plain;q=0.1, multipart/related; type=application/octet-stream; transfer-syntax=*",
    ],
)
def test_the_type_is_understood_with_and_without_quotes(text: str) -> None:
    first = media_ranges(text)[0]

    assert first.is_multipart
    assert first.inner == OCTETS
    assert first.transfer_syntax == "*"


def test_what_is_wanted_more_comes_first() -> None:
    found = media_ranges("image/png;q=0.5, image/jpeg, image/gif;q=0, nonsense, */*;q=x")

    assert [media.media_type for media in found] == ["image/jpeg", "*/*", "image/png"]


@pytest.mark.parametrize(
    ("accept", "stored", "count", "form"),
    [
        ("", EXPLICIT, 3, FrameForm(True, OCTETS, EXPLICIT, False)),
        ("*/*", JPEG_LS, 1, FrameForm(True, OCTETS, EXPLICIT, True)),
        (f"multipart/related; type={OCTETS}; transfer-syntax=*", JPEG_LS, 2, None),
        (f"multipart/related; type={OCTETS}", JPEG_LS, 2, FrameForm(True, OCTETS, EXPLICIT, True)),
        (f"{OCTETS}; transfer-syntax=*", IMPLICIT, 1, FrameForm(False, OCTETS, EXPLICIT, False)),
        ("multipart/related; type=image/jls", JPEG_LS, 1, "image/jls"),
        ("image/jls", JPEG_LS, 1, "image/jls"),
        (f"multipart/related; type=*/*; transfer-syntax={JPEG_LS}", JPEG_LS, 1, "image/jls"),
    ],
)
def test_frames_are_given_in_the_form_that_is_wanted(
    accept: str, stored: str, count: int, form: FrameForm | str | None
) -> None:
    chosen = frame_form(media_ranges(accept), transfer_syntax(stored), count, readable=True)

    if form is None:
        form = FrameForm(True, OCTETS, stored, False)
    elif isinstance(form, str):
        form = FrameForm(accept.startswith("multipart"), form, stored, False)
    assert chosen == form


@pytest.mark.parametrize(
    ("accept", "stored", "count"),
    [
        ("image/jpeg", EXPLICIT, 1),
        (OCTETS, EXPLICIT, 2),
        (f"multipart/related; type={OCTETS}; transfer-syntax={JPEG_LS}", EXPLICIT, 1),
        ("multipart/related; type=image/jp2", JPEG_LS, 1),
        ("text/html", EXPLICIT, 1),
    ],
)
def test_frames_are_refused_in_any_other_form(accept: str, stored: str, count: int) -> None:
    with pytest.raises(Problem) as caught:
        frame_form(media_ranges(accept), transfer_syntax(stored), count, readable=True)

    assert caught.value.status is HTTPStatus.NOT_ACCEPTABLE


@pytest.mark.parametrize(
    ("accept", "stored", "form", "written"),
    [
        ("", EXPLICIT, InstanceForm(True, None), None),
        ("multipart/related; type=application/dicom", J2K, InstanceForm(True, None), EXPLICIT),
        ("application/dicom", IMPLICIT, InstanceForm(False, None), None),
        ("application/dicom; transfer-syntax=*", J2K, InstanceForm(False, "*"), None),
        (f"application/dicom; transfer-syntax={J2K}", J2K, InstanceForm(False, J2K), None),
        (
            f"application/dicom; transfer-syntax={JPEG_LS}",
            J2K,
            InstanceForm(False, JPEG_LS),
            JPEG_LS,
        ),
    ],
)
def test_instances_are_given_in_the_form_that_is_wanted(
    accept: str, stored: str, form: InstanceForm, written: str | None
) -> None:
    chosen = instance_form(media_ranges(accept), [stored])

    assert chosen == form
    assert chosen.written_in(transfer_syntax(stored)) == written


@pytest.mark.parametrize(
    ("accept", "stored"),
    [
        ("application/dicom", [EXPLICIT, EXPLICIT]),
        (f"application/dicom; transfer-syntax={J2K}", [EXPLICIT]),
        ("multipart/related; type=application/dicom+xml", [EXPLICIT]),
        ("application/json", [EXPLICIT]),
    ],
)
def test_instances_are_refused_in_any_other_form(accept: str, stored: list[str]) -> None:
    with pytest.raises(Problem):
        instance_form(media_ranges(accept), stored)
