"""Rewrites an encoded data set element by element: what no rule changes is copied, not decoded.

Elements of a series are mostly the same in every instance, so what became of an element's bytes
is remembered for the patient: the usual element costs its header and one look-up. Pixel data is
never looked at here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.deid.encode import Encoder
from services.deid.items import Items
from services.deid.layout import Layout, Place
from services.deid.private_blocks import PrivateBlocks
from services.deid.profile.rules import RuleAction
from services.deid.profile.treatment import Profile, Treatment
from services.deid.pseudonyms import Pseudonyms
from services.deid.subject import Subject
from services.deid.surroundings import CONCEPT_CODE, Around, around_items, treatment_in
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
_OVERRULING: Final = frozenset({RuleAction.REMOVE, RuleAction.EMPTY})
_UNKNOWN_SEX: Final = ("121103", "DCM", "Undetermined sex")


@dataclass(frozen=True, slots=True)
class Step:
    """What was done with one element.

    Attributes:
        path: Tags and, between them, numbers of items from 1.
        vr: The VR that it was taken for; "" when that was not to be said.
        treatment: What was done.
        before: Its value as it stood; empty for a sequence of which the items are treated.
        element: What was written in its place, with its header; b"" when it was removed.
        changed: Whether that is something else than what stood there.
    """

    path: tuple[int, ...]
    vr: str
    treatment: Treatment
    before: Part
    element: Part
    changed: bool


Observer = Callable[[Step], None]


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
        shifts_text = profile.shifts_dates
        self.values = Values(self.encoder, pseudonyms, subject, encodings, shifts_text=shifts_text)
        self.remembered: defaultdict[Around, dict[bytes, bytes]] = defaultdict(dict)

    def rewrite(
        self,
        layout: Layout,
        places: Sequence[Place],
        added: Mapping[int, Part],
        observer: Observer | None = None,
    ) -> list[Part]:
        """Return the parts of a data set without identity, in order.

        Args:
            layout: Of the inflated data set, without preamble and file meta information.
            places: Of its elements.
            added: Encoded elements by tag that are put in, in place of what stands there.
            observer: Told of every element that stood there, at every depth, in their order.

        Raises:
            DicomError: The data set is not encoded as its transfer syntax says.
        """
        return _Pass(self, layout, observer).run(places, added)


class _Pass:
    """One data set on its way through."""

    def __init__(self, rewriter: Rewriter, layout: Layout, observer: Observer | None) -> None:
        self._rewriter = rewriter
        self._layout = layout
        self._view = layout.view
        self._items = Items(layout, rewriter.profile.options)
        self._observer = observer

    def run(self, places: Sequence[Place], added: Mapping[int, Part]) -> list[Part]:
        parts: list[Part] = []
        waiting = sorted(added.items(), reverse=True)
        for tag, part in self._level(places, Around.NOTHING, ()):
            while waiting and waiting[-1][0] <= tag:
                parts.append(waiting.pop()[1])
            if tag not in added:
                parts.append(part)
        parts.extend(element for _, element in reversed(waiting))
        return parts

    def _level(
        self, places: Sequence[Place], around: Around, path: tuple[int, ...]
    ) -> Iterator[tuple[int, Part]]:
        """Yield the elements of a data set or item, treated, with their tags."""
        view, remembered = self._view, self._rewriter.remembered[around]
        blocks = PrivateBlocks(view, places)
        watched = self._observer is not None
        for place in places:
            if watched or place.stop - place.start > _LONGEST_REMEMBERED:
                yield place.tag, self._part(place, blocks, around, path)
                continue
            element = bytes(view[place.start : place.stop])
            part = remembered.get(element)
            if part is None:
                part = bytes(self._part(place, blocks, around, path))
                self._remember(place.tag, around, element, part)
            yield place.tag, part

    def _remember(self, tag: int, around: Around, element: bytes, part: bytes) -> None:
        if self._rewriter.profile.treatment(tag) in _VARYING:
            return
        remembered = self._rewriter.remembered[around]
        if len(remembered) >= _MOST_REMEMBERED:
            remembered.clear()
        remembered[element] = part

    def _part(
        self, place: Place, blocks: PrivateBlocks, around: Around, path: tuple[int, ...]
    ) -> Part:
        profile = self._rewriter.profile
        treatment = profile.treatment(place.tag)
        if profile.rules.get(place.tag) not in _OVERRULING:
            treatment = treatment_in(around, place.tag, treatment, profile.options)
        vr = settled_vr(place.tag, place.vr)
        part = self._treated(place, vr, treatment, blocks, around, path)
        if self._observer is not None:
            self._tell(self._observer, place, vr, treatment, part, path)
        return part

    def _treated(
        self,
        place: Place,
        vr: str,
        treatment: Treatment,
        blocks: PrivateBlocks,
        around: Around,
        path: tuple[int, ...],
    ) -> Part:
        if treatment is Treatment.REMOVE:
            return b""
        whole = self._view[place.start : place.stop]
        if treatment is Treatment.PRIVATE:
            return whole if blocks.is_safe(place) else b""
        if vr == "SQ":
            return self._sequence(place, treatment, around, path)
        if not vr or (place.undefined and place.tag >> 16 != _PIXEL_GROUP):
            return b""
        value = self._view[place.value : place.stop]
        changed = self._rewriter.values.treated(treatment, place.tag, vr, value)
        if changed is None:
            return whole
        return changed

    def _sequence(
        self, place: Place, treatment: Treatment, around: Around, path: tuple[int, ...]
    ) -> Part:
        encoder = self._rewriter.encoder
        if place.vr != "SQ":
            return b""  # items of another encoding than what is around them
        if treatment is Treatment.EMPTY:
            return encoder.sequence(place.tag, ())
        if treatment not in _OF_ITEMS:
            return b""
        if place.tag == CONCEPT_CODE and around is Around.SEX:
            return encoder.sequence(place.tag, [encoder.code(*_UNKNOWN_SEX)])
        inner = around_items(place.tag, treatment, around)
        found = [
            self._item(place.tag, begin, end, inner, (*path, place.tag, number))
            for number, (begin, end) in enumerate(self._layout.items(place, len(path) // 2), 1)
        ]
        items = [item for item in found if item is not None]
        return encoder.sequence(place.tag, items) if items or not found else b""

    def _item(
        self, sequence: int, begin: int, end: int, around: Around, path: tuple[int, ...]
    ) -> bytes | None:
        places = self._layout.elements(begin, end, len(path) // 2)
        if self._items.is_dropped(sequence, places):
            return None
        around = self._items.around(sequence, places, around, len(path) // 2)
        parts = list(self._level(places, around, path))
        if self._items.is_hollow(sequence, places, parts):
            return None
        return b"".join(part for _, part in parts)

    def _tell(
        self,
        observer: Observer,
        place: Place,
        vr: str,
        treatment: Treatment,
        part: Part,
        path: tuple[int, ...],
    ) -> None:
        of_items = vr == "SQ" and treatment in _OF_ITEMS and bool(part)
        before = b"" if of_items else self._view[place.value : place.stop]
        changed = not of_items and part != self._view[place.start : place.stop]
        observer(Step((*path, place.tag), vr, treatment, before, part, changed))
