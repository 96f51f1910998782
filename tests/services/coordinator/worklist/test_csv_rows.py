"""Reading a CSV file of scheduled steps."""

from __future__ import annotations

import pytest

from services.coordinator.worklist.csv_rows import MOST_BYTES, MOST_ROWS, read_rows
from services.runtime.errors import InvalidFieldError

HEAD = "patient_id,patient_name,station,date,time,modality,accession_number\n"


def test_rows_carry_their_line_and_their_number_within_the_accession_number() -> None:
    text = HEAD + "P1,DOE^JANE,CT1,20260105,0930,CT,A1\n\nP1,DOE^JANE,MR1,20260105,1000,MR,A1\n"

    first, second = read_rows(text.encode())

    assert (first.line, first.ordinal) == (2, 1)
    assert (second.line, second.ordinal) == (4, 2)
    assert second.values["modality"] == "MR"


def test_a_quoted_value_may_span_lines_and_hold_commas() -> None:
    text = HEAD + 'P1,"DOE,\nJANE",CT1,20260105,0930,CT,A1\nP2,X,CT1,20260105,0930,CT,A2\n'

    first, second = read_rows(text.encode())

    assert first.values["patient_name"] == "DOE,\nJANE"
    assert (first.line, second.line) == (2, 4)


def test_semicolons_a_byte_order_mark_and_capitals_are_understood() -> None:
    head = "\ufeffPatient ID;Patient Name;Station;Date;Time;Modality\r\n"
    text = head + "P1;Ä^Ö;CT1;20260105;0930;CT\r\n"

    (row,) = read_rows(text.encode())

    assert row.values["patient_name"] == "Ä^Ö"
    assert row.complete


def test_a_row_with_too_few_or_too_many_values_is_told_apart() -> None:
    text = HEAD + "P1,X\nP1,X,CT1,20260105,0930,CT,A1,more\n"

    assert [row.complete for row in read_rows(text.encode())] == [False, False]


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "names patient_id"),
        (b"patient_id,patient_name,station,date,time\n", "names modality"),
        (HEAD.replace("accession", "shoe").encode(), "each column once"),
        (HEAD.replace("accession_number", "time").encode(), "each column once"),
        (HEAD.encode() + b"\xff\xfe", "UTF-8"),
        (HEAD.encode() + b"a\0b", "NUL"),
        (HEAD.encode() + b'"open', "separated values"),
        (b"x" * (MOST_BYTES + 1), "bytes"),
        (HEAD.encode() + b"a,b,c,d,e,f,g\n" * (MOST_ROWS + 1), "rows"),
    ],
)
def test_what_is_no_such_file_is_refused_with_the_rule(data: bytes, rule: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        read_rows(data)

    assert caught.value.metadata["field"] == "csv"
    assert rule in caught.value.metadata["rule"]
