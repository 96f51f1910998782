"""The report on paper: what it says, that it stays itself, and that no text breaks it."""

from __future__ import annotations

import io
import re
from typing import Any

import pypdf
import pytest

from heimdallr.imaging.v1 import blob_ref_pb2, measurement_pb2
from heimdallr.reporting.v1 import reporting_service_pb2 as pb
from services.reporting.errors import ReportFailedError
from services.reporting.messages import report_from_proto
from services.reporting.pdf import render_pdf
from services.reporting.printable import BREAK, MISSING
from tests.services.reporting.requests import STUDY_ID, full_request, key_picture, scout, subject

PICTURE = blob_ref_pb2.BlobRef(sha256="aa" * 32, size_bytes=1, media_type="image/png")
PAGE_HEIGHT, PAGE_WIDTH = 842, 595


def pdf_of(request: pb.ComposeReportRequest, picture: bytes | None = None) -> bytes:
    return render_pdf(report_from_proto(request), picture)


def pages_of(content: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages]


def text_of(content: bytes) -> str:
    """All text with blanks removed."""
    return squeezed("".join(pages_of(content)))


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize(
    "said",
    [
        "PHANTOM, CHEST Dr",
        "PHANTOM-7 (issuer CLINIC)",
        "1970-01-31",
        "2026-11-21 08:15:30",
        "A-1001",
        "2.25.308098194143441124562362260923698121550",
        "Volume of the lungs",
        "2,859.1",
        "-846.4",
        "HU",
        "812.5",
        "Not measured",
        "The body is cut off at the lower end of the scan.",
        "Gantry tilt of 18.5 degrees, corrected by resampling.",
        "The sender released the association and sent nothing for 2 seconds.",
        "generation 1 of the study",
        "The series is a localizer (scout), not a stack of slices.",
        "Soft-tissue reconstruction kernel.",
        "The model reads axial series only.",
        "ct_tissue",
        "1.0.20260724",
        "abababababab",
        "Not a medical device; not for diagnosis.",
        STUDY_ID,
    ],
)
def test_every_fact_is_on_paper(said: str) -> None:
    assert squeezed(said) in text_of(pdf_of(full_request(PICTURE), key_picture()))


def test_identifiers_can_be_copied_as_they_are() -> None:
    request = full_request()
    longest_uid = "2.25." + "1234567890" * 5 + "123456789"
    request.subject.study_instance_uid = longest_uid
    request.subject.study_description = "x" * 200

    content = pdf_of(request)

    text = "".join(pages_of(content))
    assert len(longest_uid) == 64
    assert longest_uid in text
    assert STUDY_ID in text
    # Where a mark of a break is kept, it stands as the actual text of an empty span.
    pages = pypdf.PdfReader(io.BytesIO(content)).pages
    streams = [page.get_contents() for page in pages]
    assert not any(b"/ActualText" in stream.get_data() for stream in streams if stream is not None)
    assert BREAK not in text
    metadata = pypdf.PdfReader(io.BytesIO(content)).metadata
    assert metadata is not None
    assert metadata.title == f"Preliminary imaging report {STUDY_ID}"


@pytest.mark.parametrize(
    ("kind", "marked"),
    [
        ("overlay-axial", True),
        ("overlay-coronal", True),
        ("axial", True),
        ("coronal", True),
        ("sagittal", False),
        ("overlay-oblique", False),
    ],
)
def test_sides_are_marked_where_they_are_known(kind: str, *, marked: bool) -> None:
    request = full_request(PICTURE)
    request.series[0].analyses[0].overlays[0].kind = kind

    text = text_of(pdf_of(request, key_picture()))

    assert ("KeyimageRLAxialslice" if marked else "KeyimageAxialslice") in text


def test_a_value_of_a_structure_at_the_end_of_the_scan_says_so() -> None:
    request = full_request()
    bone = request.series[0].analyses[0].measurements[2]
    bone.evidence.add(name="touches_last_slice", text="yes")

    text = text_of(pdf_of(request))

    assert text.count(squeezed("within the scanned range")) == 1
    assert squeezed("812.5 within the scanned range mL") in text


def test_a_study_of_one_slice_gives_its_reason_where_it_is_said_to_stand() -> None:
    request = pb.ComposeReportRequest(
        subject=subject(), report_time=full_request().report_time, series=[scout()]
    )

    text = text_of(pdf_of(request))

    assert squeezed("Nothing was measured. The reasons stand under") in text
    not_done = text.partition("SeriesReason")[2].partition("Geometryoftheimages")[0]
    assert squeezed("The series is a localizer (scout), not a stack of slices.") in not_done
    assert squeezed("Topogram 1 no not converted") in text


def test_a_series_that_was_chosen_and_not_analysed_is_not_called_analysed() -> None:
    request = full_request()
    del request.series[0].analyses[:]

    text = text_of(pdf_of(request))

    assert squeezed("180 yes converted, not analysed 58") in text
    assert squeezed("no model was chosen for it or none gave a result.") in text


def test_a_row_stays_on_one_page_and_a_very_long_one_is_not_lost() -> None:
    request = full_request()
    request.series[0].score.reasons[0].text = "word " * 70 + "first"
    for number in range(40):
        long = "word " * (60 + number % 7)
        request.series[2].refusals.add(text=f"begin{number:02} {long} end{number:02}")
    for _ in range(15):
        request.series[0].score.reasons.add(code="X", text="word " * 70 + "repeated")

    pages = pages_of(pdf_of(request))

    for number in range(40):
        (page,) = (page for page in pages if f"begin{number:02}" in page)
        assert f"end{number:02}" in page
    shares = [page.count("repeated") for page in pages if "repeated" in page]
    assert len(shares) > 1
    assert sum(shares) == 15


def test_every_page_is_marked_named_and_counted() -> None:
    request = full_request()
    for _ in range(60):
        request.series.append(request.series[2])

    pages = pages_of(pdf_of(request))

    assert len(pages) > 3
    for number, page in enumerate(pages, start=1):
        assert "PRELIMINARY" in page.replace(" ", "")
        assert "PHANTOM-7" in page
        assert f"Page {number} of {len(pages)}" in page


def test_the_same_request_gives_the_same_bytes() -> None:
    first = pdf_of(full_request(PICTURE), key_picture())
    second = pdf_of(full_request(PICTURE), key_picture())

    assert first == second


def test_it_declares_archival_and_accessible_pdf_with_every_font_inside() -> None:
    reader: Any = pypdf.PdfReader(io.BytesIO(pdf_of(full_request(PICTURE), key_picture())))

    metadata = reader.xmp_metadata
    assert metadata is not None
    raw = metadata.stream.get_data()
    assert b"<pdfaid:part>2</pdfaid:part>" in raw
    assert b"<pdfaid:conformance>A</pdfaid:conformance>" in raw
    assert b"<pdfuaid:part>1</pdfuaid:part>" in raw
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]
    for page in reader.pages:
        for font in page["/Resources"]["/Font"].values():
            (descendant,) = font.get_object()["/DescendantFonts"]
            descriptor = descendant.get_object()["/FontDescriptor"].get_object()
            assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor)


def test_the_key_image_has_its_description() -> None:
    content = pdf_of(full_request(PICTURE), key_picture())

    reader = pypdf.PdfReader(io.BytesIO(content))
    described = alternative_texts(reader)
    assert "Axial slice of the chest with the lungs in blue and bone in yellow." in described


def alternative_texts(reader: Any) -> set[str]:
    found: set[str] = set()
    pending = [reader.trailer["/Root"]["/StructTreeRoot"]]
    while pending:
        item = pending.pop().get_object()
        if isinstance(item, pypdf.generic.ArrayObject):
            pending.extend(item)
        elif isinstance(item, pypdf.generic.DictionaryObject):
            if "/Alt" in item:
                found.add(str(item["/Alt"]))
            if "/K" in item:
                pending.append(item["/K"])
    return found


@pytest.mark.parametrize(
    "hostile",
    [
        '#import "@preview/x:1.0.0": *',
        '#read("/etc/passwd")',
        "$ integral_0^1 x dif x $",
        "= Heading *bold* _em_ `raw` <label> @ref",
        "#set page(width: 1mm)",
        '"); #panic("x")',
        '\\u{202e}#eval("1") // comment /* */',
        "--- ~ -- ... 'quotes' \"double\"",
        "<script>alert(1)</script>",
    ],
)
def test_markup_in_a_value_is_printed_as_it_is(hostile: str) -> None:
    request = full_request()
    request.subject.study_description = hostile
    request.series[0].analyses[0].measurements[3].refusal.text = hostile

    text = text_of(pdf_of(request))

    assert text.count(squeezed(hostile)) >= 2


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "A" * 10_000,
        "word " * 2_000,
        "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET} 12 \N{ARABIC LETTER BEH}",
        "Smile \N{GRINNING FACE} \N{FLAG IN HOLE}\N{ZERO WIDTH JOINER}x",
        "\N{CJK UNIFIED IDEOGRAPH-5C71}\N{CJK UNIFIED IDEOGRAPH-7530}",
        "e\N{COMBINING ACUTE ACCENT}" * 50,
        "a\N{COMBINING ACUTE ACCENT}" * 3 + "\N{COMBINING LONG STROKE OVERLAY}" * 300,
        "\x00\x01\x1b[31m\x7f\x85",
        "\N{RIGHT-TO-LEFT OVERRIDE}gnol ton",
        "\ue000\ufffe\U0010ffff",
        "x" + "\n" * 500 + "y",
    ],
)
def test_no_text_breaks_the_layout(odd: str) -> None:
    request = full_request()
    for field in ("patient_name", "patient_id", "study_description", "completeness", "study_id"):
        setattr(request.subject, field, odd)
    request.series[0].series_description = odd
    request.series[0].analyses[0].measurements[0].display_name = odd
    request.series[0].analyses[0].measurements[0].value.unit_ucum = odd
    request.series[2].refusals[0].text = odd

    content = pdf_of(request)

    assert len(pages_of(content)) <= 5
    assert outside(content) == []
    assert "2859" in text_of(content)


def outside(content: bytes) -> list[str]:
    """Text that begins outside the page."""
    found: list[str] = []

    def visit(text: str, matrix: list[float], position: list[float], *_rest: object) -> None:
        x, y = position[4] * matrix[0] + matrix[4], position[5]
        if text.strip() and not (-1 <= x <= PAGE_WIDTH and -PAGE_HEIGHT <= y <= PAGE_HEIGHT):
            found.append(text)

    for page in pypdf.PdfReader(io.BytesIO(content)).pages:
        page.extract_text(visitor_text=visit)
    return found


def test_a_character_without_a_glyph_is_shown_as_missing() -> None:
    request = pb.ComposeReportRequest(subject=subject(), report_time=full_request().report_time)
    request.subject.patient_name = "YAMADA^TAROU=\N{CJK UNIFIED IDEOGRAPH-5C71}^"

    text = text_of(pdf_of(request))

    assert f"YAMADA,TAROU/{MISSING}" in text


def test_a_study_without_results_says_so() -> None:
    request = pb.ComposeReportRequest(subject=subject(), report_time=full_request().report_time)

    text = text_of(pdf_of(request))

    assert squeezed("Nothing was measured.") in text
    assert squeezed("There is no picture of a result.") in text


def test_a_thousand_series_are_bounded_on_paper() -> None:
    request = full_request()
    for _ in range(1000):
        request.series.append(request.series[1])

    text = text_of(pdf_of(request))

    assert squeezed("703 further rows are in the structured result.") in text


@pytest.mark.parametrize("picture", [b"", b"\x89PNG\r\n\x1a\nrubbish", b"GIF89a"])
def test_a_picture_that_is_none_is_a_typed_error(picture: bytes) -> None:
    with pytest.raises(ReportFailedError) as caught:
        pdf_of(full_request(PICTURE), picture)

    assert caught.value.metadata == {"rule": "PICTURE"}


def test_a_value_is_never_blank() -> None:
    request = full_request()
    for measurement in request.series[0].analyses[0].measurements:
        measurement.refusal.CopyFrom(measurement_pb2.Refusal(code="NO_MASK"))

    text = text_of(pdf_of(request))

    assert text.count("Notmeasured") == 4
    # Beside each value, and where all that was not done is listed.
    assert text.count("NO_MASK") == 2 * 4


def test_a_preview_is_the_key_image_where_no_analysis_drew_one() -> None:
    request = full_request()
    request.series[2].previews.add(image=PICTURE, kind="coronal", alternative_text="A preview.")

    content = pdf_of(request, key_picture())

    assert squeezed("A preview.") in text_of(content)


def test_the_picture_of_an_analysis_comes_first() -> None:
    request = full_request(PICTURE)
    request.series[0].previews.add(image=PICTURE, kind="axial", alternative_text="A preview.")

    picture = report_from_proto(request).key_image()

    assert picture is not None
    assert picture.kind == "overlay-axial"
