"""Finds any of many byte strings in large data, mostly by seeing that none can be there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

WORD_BYTES: Final = 4
SHORTEST_ANYWHERE: Final = 7
"""Of what is sought at one offset in four: so long that it covers a whole word wherever it lies."""
_BLOCK_WORDS: Final = 1 << 18
_MULTIPLIER: Final = np.uint32(2654435761)
_SHIFT: Final = np.uint32(16)


class Sieve:
    """Finds byte strings, exactly.

    Words of four bytes are hashed into 65,536 places at once by numpy; where one falls on a place
    that a word of what is sought falls on, the bytes themselves are compared.

    Args:
        sought: The byte strings: of four bytes or more, or of seven or more without
            ``every_offset``.
        every_offset: Look at all offsets instead of every fourth one.
    """

    def __init__(self, sought: Iterable[bytes], *, every_offset: bool) -> None:
        self._offsets = range(WORD_BYTES if every_offset else 1)
        places = range(1 if every_offset else WORD_BYTES)
        self._known: defaultdict[int, list[tuple[bytes, int]]] = defaultdict(list)
        for one in sought:
            for at in places:
                word = int.from_bytes(one[at : at + WORD_BYTES], "little")
                self._known[word].append((one, at))
        self._table = np.zeros(1 << 16, np.bool_)
        self._table[_hashed(np.array(list(self._known), np.uint32))] = True

    def found(self, data: bytes | memoryview) -> Iterator[tuple[int, bytes]]:
        """Yield the offset of each place where one stands, and which."""
        if not self._known:
            return
        for offset in self._offsets:
            count = (len(data) - offset) // WORD_BYTES
            if count <= 0:
                return
            words = np.frombuffer(data, "<u4", count, offset)
            for begin in range(0, len(words), _BLOCK_WORDS):
                block = words[begin : begin + _BLOCK_WORDS]
                for place in np.flatnonzero(self._table.take(_hashed(block))).tolist():
                    at = offset + WORD_BYTES * (begin + place)
                    yield from self._compared(data, at, int(block[place]))

    def _compared(
        self, data: bytes | memoryview, at: int, word: int
    ) -> Iterator[tuple[int, bytes]]:
        for one, inside in self._known.get(word, ()):
            begin = at - inside
            if begin >= 0 and data[begin : begin + len(one)] == one:
                yield begin, one


def _hashed(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return (words * _MULTIPLIER) >> _SHIFT
