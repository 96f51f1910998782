"""The sieve finds exactly what a plain search finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.deid.sieve import SHORTEST_ANYWHERE, Sieve

letters = st.binary(max_size=200).map(lambda data: bytes(97 + octet % 3 for octet in data))


@given(letters, st.sets(letters.filter(lambda one: 4 <= len(one) <= 9), max_size=6))
def test_at_every_offset_it_finds_what_a_plain_search_finds(
    data: bytes, sought: set[bytes]
) -> None:
    expected = {
        (at, one) for one in sought for at in range(len(data)) if data[at : at + len(one)] == one
    }

    assert set(Sieve(sought, every_offset=True).found(data)) == expected


@given(
    letters,
    st.sets(letters.filter(lambda one: SHORTEST_ANYWHERE <= len(one) <= 12), max_size=6),
    st.integers(0, 3),
)
def test_what_is_long_enough_is_found_wherever_it_lies(
    data: bytes, sought: set[bytes], before: int
) -> None:
    for one in sought:
        whole = b"\0" * before + data + one + data
        found = {at for at, what in Sieve(sought, every_offset=False).found(whole) if what == one}

        assert before + len(data) in found
        assert all(whole[at : at + len(one)] == one for at in found)


def test_it_crosses_the_blocks_it_looks_at() -> None:
    data = bytearray(3 << 20)
    places = [0, (1 << 20) - 5, (1 << 20) + 9, (3 << 20) - 13]
    for at in places:
        data[at : at + 13] = b"KANARIENVOGEL"

    found = Sieve([b"KANARIENVOGEL"], every_offset=False).found(bytes(data))

    assert sorted({at for at, _ in found}) == places


def test_nothing_sought_is_nothing_found() -> None:
    assert list(Sieve([], every_offset=True).found(b"anything")) == []
