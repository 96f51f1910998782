"""Which text may stay in pixels, and what an engine's slips do not hide."""

from __future__ import annotations

import pytest

from services.deid.pixels.judgement import Staying, is_named_loosely, objection
from services.deid.pixels.text import Area, Text
from services.deid.subject import Subject

WORDS = frozenset({"kowalczyk", "doe", "john", "40271988", "19570312"})
SUBJECT = Subject("P-1", 0, WORDS)


def text(words: str, confidence: float = 0.99) -> Text:
    return Text(Area(0, 0, 10, 10), words, confidence)


@pytest.mark.parametrize(
    "words",
    [
        "DOE4JOHN",
        "D0E^J0HN",
        "K0WALCZYK, A",
        "KOWALCZVK",
        "Kowa1czyk",
        "ID 4O271988",
        "ID 40271980",
        "12.03.1957",
        "03/12/1957",
        "12 MAR 1957",
        "1957-03-12",
        "DOB 12.O3.57",
    ],
)
def test_the_patient_is_found_however_it_was_read(words: str) -> None:
    assert is_named_loosely(words, WORDS)


@pytest.mark.parametrize("words", ["LEFT KIDNEY", "SUPINE", "KV 120", "2026-01-05", "L", ""])
def test_others_are_not_taken_for_the_patient(words: str) -> None:
    assert not is_named_loosely(words, WORDS)


@pytest.mark.parametrize(
    ("words", "clinical", "markers"),
    [
        ("L", "", ""),
        ("LEFT KIDNEY", "", "OCR_TEXT"),
        ("SUPINE", "", "OCR_TEXT"),
        ("5.0 cm", "", ""),
        ("100", "", ""),
        ("QUILLBACK LANE", "OCR_TEXT", "OCR_TEXT"),
        ("05.01.2026", "OCR_TEXT", "OCR_TEXT"),
        ("DOE^JOHN", "OCR_IDENTIFIER", "OCR_IDENTIFIER"),
        ("", "OCR_TEXT", "OCR_TEXT"),
    ],
)
def test_a_text_stays_only_where_it_is_known_to_name_nobody(
    words: str, clinical: str, markers: str
) -> None:
    assert objection(text(words), SUBJECT, Staying.CLINICAL) == clinical
    assert objection(text(words), SUBJECT, Staying.MARKERS) == markers


def test_what_was_read_with_doubt_goes() -> None:
    assert objection(text("SUPINE", 0.5), SUBJECT, Staying.CLINICAL) == "OCR_TEXT"
