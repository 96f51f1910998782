from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicomweb.multipart import (
    Bounds,
    MultipartError,
    MultipartParser,
    MultipartReader,
    PartBegin,
    PartData,
    valid_boundary,
)

BODY = (
    b"preamble\r\n--b\r\nContent-Type: application/dicom\r\n\r\nfirst\r\n--\r\n--xb\r\n"
    b"--b  \r\n\r\n\r\n--b\r\nX: 1\r\ny : 2\r\n\r\n\r\nthird\r\r\n--b--\r\nepilogue"
)


def parsed(body: bytes, size: int = 1 << 20, bounds: Bounds | None = None) -> list[bytes]:
    parser = MultipartParser("b", bounds or Bounds())
    parts: list[bytes] = []
    for start in range(0, len(body), size):
        for event in parser.feed(body[start : start + size]):
            if isinstance(event, PartBegin):
                parts.append(b"")
            elif isinstance(event, PartData):
                parts[-1] += event.data
    parser.end()
    return parts


@pytest.mark.parametrize("after", [b"\r\r\n", b"-\r\n", b" -\r\n", b"\r \r\n", b"x\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 1000])
def test_a_delimiter_ends_its_line_however_the_body_is_cut(after: bytes, size: int) -> None:
    with pytest.raises(MultipartError):
        parsed(b"--b" + after + b"\r\n1\r\n--b--", size)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 1000])
def test_parts_are_the_same_however_the_body_is_cut(size: int) -> None:
    assert parsed(BODY, size) == [b"first\r\n--\r\n--xb", b"", b"\r\nthird\r"]


@given(st.lists(st.binary(max_size=200), max_size=5), st.integers(1, 64))
def test_what_is_written_is_read(contents: list[bytes], size: int) -> None:
    contents = [content for content in contents if b"\r\n--b" not in b"\r\n" + content]
    body = b"".join(b"--b\r\nA: b\r\n\r\n" + content + b"\r\n" for content in contents)

    assert parsed(body + b"--b--", size) == contents


def test_headers_of_a_part_have_lower_case_names() -> None:
    events = list(MultipartParser("b").feed(b"--b\r\nContent-TYPE:  x/y \r\n\r\n--b--"))

    assert PartBegin({"content-type": "x/y"}) in events


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no delimiter at all",
        b"--b\r\nA: b\r\n\r\ncut off",
        b"--b\r\nA: b\r\n\r\ncut off\r\n--b",
        b"--b\r\nno colon\r\n\r\nx\r\n--b--",
        b"--bX\r\n\r\nx\r\n--b--",
        b"--b" + b" " * 10_000,
        b"x" * (70 << 10),
        b"--b\r\n" + b"A: b\r\n" * 5000,
        b"--b\r\nA: " + b"x" * (2 << 20),
    ],
)
@pytest.mark.parametrize("size", [1 << 20, 999])
def test_a_body_that_breaks_the_form_is_refused(body: bytes, size: int) -> None:
    with pytest.raises(MultipartError):
        parsed(body, size)


def test_more_parts_than_allowed_are_refused() -> None:
    with pytest.raises(MultipartError, match="more parts"):
        parsed(b"--b\r\n\r\nx\r\n" * 11 + b"--b--", bounds=Bounds(parts=10))


@given(st.binary(max_size=400), st.integers(1, 64))
def test_any_bytes_give_parts_or_a_refusal(body: bytes, size: int) -> None:
    body = body.replace(b"\0", b"\r\n--b")
    try:
        found = parsed(body, size)
    except MultipartError:
        return
    assert sum(map(len, found)) <= len(body)


async def test_content_that_is_not_read_is_passed_over() -> None:
    async def source() -> AsyncIterator[bytes]:
        for start in range(0, len(BODY), 4):
            yield BODY[start : start + 4]

    reader = MultipartReader(source(), MultipartParser("b"))
    headers = [dict(found) async for found, _ in reader.parts()]

    assert headers == [{"content-type": "application/dicom"}, {}, {"x": "1", "y": "2"}]


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("b", True),
        ("a b", True),
        ("", False),
        ("x" * 73, True),
        ("x" * 201, False),
        ("a ", False),
        ("ä", False),
    ],
)
def test_boundaries_are_those_of_the_standard_or_somewhat_longer(text: str, valid: bool) -> None:
    assert valid_boundary(text) is valid
