"""What is done with an attribute: the table's actions under the options that were chosen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import Enum, auto
from typing import Final

from services.deid.profile.options import Option
from services.deid.profile.retained import retained
from services.deid.profile.rules import Rule, RuleAction, by_tag
from services.deid.profile.table import Row, row_of
from services.dicom.encoding import dictionary_vr


class Treatment(Enum):
    """What is done with an attribute; what no rule names is removed."""

    KEEP = auto()
    """Stays as it is once its value proves to be of its VR; a sequence's items are treated."""
    REMOVE = auto()
    EMPTY = auto()
    DUMMY = auto()
    """Another value of the same VR; a sequence's items are treated."""
    UID = auto()
    """Another UID, the same for the same one; registered ones stay."""
    SHIFT = auto()
    """A date or time moved by the patient's own interval."""
    CLEAN = auto()
    """Text of which only words stay that identify nobody; a sequence's items are treated."""
    CLEAN_OR_DUMMY = auto()
    """The same where the IOD wants a value: a dummy when no word stays."""
    AGE = auto()
    """A number of years, 90 at most."""
    NAME = auto()
    """A technical name that stays unless it holds something of the patient's header."""
    PATIENT = auto()
    """The patient's pseudonym."""
    PRIVATE = auto()
    """A private attribute: stays if its block and element are known to be safe."""


PATIENT_NAME: Final = 0x00100010
PATIENT_ID: Final = 0x00100020
# Lengths that would be wrong, like those of groups, and what digital signatures leave behind. An
# overlay goes whole: without its data the rest of its plane is no plane.
_ALWAYS_GO: Final = frozenset({0x00080001, 0x4FFE0001})
# Text that an IOD wants where its neighbour stays: Tracking ID beside Tracking UID.
_NEVER_EMPTY: Final = frozenset({0x00620020})
_DATE_VRS: Final = frozenset({"DA", "DT", "TM"})
_BASIC: Final[Mapping[str, Treatment]] = {
    "X": Treatment.REMOVE,
    "Z": Treatment.EMPTY,
    "D": Treatment.DUMMY,
    "U": Treatment.UID,
    # The type in the IOD decides (E.3.1): what suits the stricter type suits the others too.
    "X/Z": Treatment.EMPTY,
    "X/D": Treatment.DUMMY,
    "Z/D": Treatment.DUMMY,
    "X/Z/D": Treatment.DUMMY,
    # Only the UIDs in the items identify: the items are treated like any others.
    "X/Z/U*": Treatment.KEEP,
}


_READABLE: Final = frozenset({Treatment.KEEP, Treatment.NAME})
"""Treatments under which text may stay that cleaning would take away."""


class Profile:
    """The Basic Profile with options, and with what a project takes away besides.

    Args:
        options: The options; they must not contradict each other.
        rules: The project's own; the last one for a tag counts.
    """

    def __init__(self, options: Collection[Option], rules: Iterable[Rule] = ()) -> None:
        self.options = frozenset(options)
        self.rules = by_tag(rules)
        self._known: dict[int, Treatment] = {}

    @property
    def shifts_dates(self) -> bool:
        """Whether dates are moved, so that those in cleaned text may stay, moved too."""
        return Option.RETAIN_MODIFIED_DATES in self.options

    def treatment(self, tag: int) -> Treatment:
        """Return what is done with the attribute of a tag, whatever its value."""
        found = self._known.get(tag)
        if found is None:
            found = self._ruled(tag, self._decide(tag))
            # A stranger chooses the tags: private ones would fill the memory.
            if not tag >> 16 & 1:
                self._known[tag] = found
        return found

    def _ruled(self, tag: int, found: Treatment) -> Treatment:
        """Return what a project's rule makes of a treatment: never one that leaves more."""
        action = self.rules.get(tag)
        if action is None or found is Treatment.REMOVE:
            return found
        if action is RuleAction.REMOVE or found is Treatment.PRIVATE:
            return Treatment.REMOVE
        if action is RuleAction.EMPTY:
            return Treatment.EMPTY
        return Treatment.CLEAN if found in _READABLE else found

    def _decide(self, tag: int) -> Treatment:
        if tag in (PATIENT_NAME, PATIENT_ID):
            return Treatment.PATIENT
        if not tag & 0xFFFF or tag in _ALWAYS_GO or 0x6000 <= tag >> 16 <= 0x60FF:
            return Treatment.REMOVE
        row = row_of(tag)
        vr = dictionary_vr(tag)
        if row is None:
            return self._unlisted(tag, vr)
        kept = self._by_option(row)
        if kept == "K":
            return Treatment.KEEP
        if kept == "C":
            return self._cleaned(tag, vr)
        return _BASIC[row.basic]

    def _by_option(self, row: Row) -> str:
        entries = {action for one, action in row.options.items() if one in self.options}
        # Cleaning satisfies whoever wanted it cleaned and keeps what the other wanted kept.
        return "C" if "C" in entries else "K" if "K" in entries else ""

    def _cleaned(self, tag: int, vr: str) -> Treatment:
        if tag >> 16 & 1:
            return Treatment.PRIVATE
        if vr in _DATE_VRS:
            return Treatment.SHIFT
        # A curve is a drawing that nothing here looks at.
        if 0x5000 <= tag >> 16 <= 0x50FF:
            return Treatment.REMOVE
        return Treatment.CLEAN

    def _unlisted(self, tag: int, vr: str) -> Treatment:
        if vr in _DATE_VRS:
            return self._date()
        if vr == "UI":
            return Treatment.KEEP if Option.RETAIN_UIDS in self.options else Treatment.UID
        kind = retained(tag, vr)
        if kind == "name":
            return Treatment.NAME
        if kind == "text":
            cleans = Option.CLEAN_DESCRIPTORS in self.options
            if tag in _NEVER_EMPTY:
                return Treatment.CLEAN_OR_DUMMY if cleans else Treatment.DUMMY
            return Treatment.CLEAN if cleans else Treatment.REMOVE
        return Treatment.KEEP if kind == "value" else Treatment.REMOVE

    def _date(self) -> Treatment:
        if Option.RETAIN_FULL_DATES in self.options:
            return Treatment.KEEP
        if Option.RETAIN_MODIFIED_DATES in self.options:
            return Treatment.SHIFT
        return Treatment.REMOVE
