from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dicom import charset


# Encoded names and their text: PS3.5 Annexes H, I, J and K.
@pytest.mark.parametrize(
    ("terms", "value", "text"),
    [
        (b"", b"Doe^John", "Doe^John"),
        (b"ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
        (b"ISO-IR 100 ", b"\xe9", "é"),
        (
            b"ISO_IR 144",
            b"\xbb\xee\xda\x63\x65\xdc\xd1\x79\x70\xd3",
            "\u041b\u044e\u043ace\u043c\u0431yp\u0433",
        ),
        (b"ISO_IR 192", "王^小東".encode(), "王^小東"),
        (b"GB18030", b"\xcd\xf5^\xd0\xa1\xb6\xab", "王^小东"),
        (
            b"\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
            "Yamada^Tarou=山田^太郎",
        ),
        (
            b"ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
        ),
        (
            b"\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7",
            "Hong^Gildong=洪^吉洞",
        ),
        (
            b"\\ISO 2022 IR 58",
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
            "Zhang^XiaoDong=张^小东",
        ),
        (b"NO SUCH SET", b"\xe9", "é"),
        (b"ISO_IR 192", b"a\xff", "a�"),
        (b"", b"a\x1bZb", "aZb"),
    ],
)
def test_values_decode_by_their_character_set(terms: bytes, value: bytes, text: str) -> None:
    assert charset.decode(value, charset.encodings_of(terms)) == text


@given(st.binary(max_size=64), st.binary(max_size=100))
def test_no_bytes_make_it_raise(terms: bytes, value: bytes) -> None:
    text = charset.decode(value, charset.encodings_of(terms))

    assert isinstance(text, str)


def test_clean_takes_out_nuls_and_caps() -> None:
    assert charset.clean(" a\0b \0", 10) == "ab"
    assert charset.clean("abcdef", 3) == "abc"
