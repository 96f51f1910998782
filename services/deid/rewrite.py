"""Rewrites an encoded data set element by element: what no rule changes is copied, not decoded.

Elements of a series are mostly the same in every instance, so what became of an element's bytes
is remembered for the patient: the usual element costs its header and one look-up. Pixel data is
never looked at here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from services.deid.encode import Encoder
from services.deid.layout import Layout, Place
from services.deid.private_blocks import PrivateBlocks
from services.deid.profile.treatment import Profile, Treatment
from services.deid.pseudonyms import Pseudonyms
from services.deid.subject import Subject
from services.deid.values import Values, settled_vr
from services.dicom.uids import TransferSyntax

Part = bytes | memoryview
_PIXEL_GROUP: Final = 0x7FE0
_LONGEST_REMEMBERED: Final = 1024
_MOST_REMEMBERED: Final = 16_384
_VARYING: Final = frozenset({Treatment.UID, Treatment.PRIVATE})
"""Different in most instances, or dependent on more than their own bytes."""
_OF_ITEMS: Final = frozenset({Treatment.KEEP, Treatment.DUMMY, Treatment.CLEAN})
"""What is done to a sequence by doing it to what is in its items."""


class Rewriter:
    """Rewrites data sets of one patient in one transfer syntax and character set.

    Args:
        profile: What is done with each attribute.
        pseudonyms: Of the project.
        subject: The patient.
        syntax: Of the data sets.
        encodings: Python encodings of their text, from ``charset.encodings_of``.
    """

    def __init__(
        self,
        profile: Profile,
        pseudonyms: Pseudonyms,
        subject: Subject,
        syntax: TransferSyntax,
        encodings: tuple[str, ...],
    ) -> None:
        self.profile = profile
        self.encoder = Encoder(syntax)
        self.values = Values(self.encoder, pseudonyms, subject, encodings)
        self.remembered: dict[bytes, bytes] = {}

    def rewrite(
        self, layout: Layout, places: Sequence[Place], added: Mapping[int, bytes]
    ) -> list[Part]:
        """Return the parts of a data set without identity, in order.

        Args:
            layout: Of the inflated data set, without preamble and file meta information.
            places: Of its elements.
            added: Encoded elements by tag that are put in, in place of what stands there.

        Raises:
            DicomError: The data set is not encoded as its transfer syntax says.
        """
        return _Pass(self, layout).run(places, added)


class _Pass:
    """One data set on its way through."""

    def __init__(self, rewriter: Rewriter, layout: Layout) -> None:
        self._rewriter = rewriter
        self._layout = layout
        self._view = layout.view

    def run(self, places: Sequence[Place], added: Mapping[int, bytes]) -> list[Part]:
        parts: list[Part] = []
        waiting = sorted(added.items(), reverse=True)
        for tag, part in self._level(places, 0):
            while waiting and waiting[-1][0] <= tag:
                parts.append(waiting.pop()[1])
            if tag not in added:
                parts.append(part)
        parts.extend(element for _, element in reversed(waiting))
        return parts

    def _level(self, places: Sequence[Place], depth: int) -> Iterator[tuple[int, Part]]:
        """Yield the elements of a data set or item, treated, with their tags."""
        view, remembered = self._view, self._rewriter.remembered
        blocks = PrivateBlocks(view, places)
        for place in places:
            if place.stop - place.start > _LONGEST_REMEMBERED:
                yield place.tag, self._part(place, blocks, depth)
                continue
            element = bytes(view[place.start : place.stop])
            part = remembered.get(element)
            if part is None:
                part = bytes(self._part(place, blocks, depth))
                self._remember(place.tag, element, part)
            yield place.tag, part

    def _remember(self, tag: int, element: bytes, part: bytes) -> None:
        if self._rewriter.profile.treatment(tag) in _VARYING:
            return
        if len(self._rewriter.remembered) >= _MOST_REMEMBERED:
            self._rewriter.remembered.clear()
        self._rewriter.remembered[element] = part

    def _part(self, place: Place, blocks: PrivateBlocks, depth: int) -> Part:
        treatment = self._rewriter.profile.treatment(place.tag)
        if treatment is Treatment.REMOVE:
            return b""
        whole = self._view[place.start : place.stop]
        if treatment is Treatment.PRIVATE:
            return whole if blocks.is_safe(place) else b""
        vr = settled_vr(place.tag, place.vr)
        if vr == "SQ":
            return self._sequence(place, treatment, depth)
        if not vr or (place.undefined and place.tag >> 16 != _PIXEL_GROUP):
            return b""
        value = self._view[place.value : place.stop]
        changed = self._rewriter.values.treated(treatment, place.tag, vr, value)
        if changed is None:
            return whole
        return changed

    def _sequence(self, place: Place, treatment: Treatment, depth: int) -> Part:
        encoder = self._rewriter.encoder
        if place.vr != "SQ":
            return b""  # items of another encoding than what is around them
        if treatment is Treatment.EMPTY:
            return encoder.sequence(place.tag, ())
        if treatment not in _OF_ITEMS:
            return b""
        items = [
            b"".join(
                part
                for _, part in self._level(self._layout.elements(begin, end, depth + 1), depth + 1)
            )
            for begin, end in self._layout.items(place, depth)
        ]
        return encoder.sequence(place.tag, items)
