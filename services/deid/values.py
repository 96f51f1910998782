"""One value, treated: what its VR can hold decides how."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from services.deid.dates import OLDEST_AGE, capped_age, kept_time, shifted_date, shifted_date_time
from services.deid.descriptors import cleaned
from services.deid.dummies import DUMMIES
from services.deid.encode import Encoder
from services.deid.profile.treatment import PATIENT_NAME, Treatment
from services.deid.pseudonyms import Pseudonyms
from services.deid.subject import Subject
from services.dicom import charset
from services.dicom.encoding import dictionary_vr

_MAX_CLEANED_CHARS: Final = 1 << 16
_LONGEST_NUMBER: Final = 16
_UNDECODED: Final = "\ufffd"
_TEXTS: Final = frozenset({"LO", "LT", "SH", "ST", "UC", "UR", "UT"})
_CLEANABLE: Final = _TEXTS | {"AE"}
_CLASSES: Final = (
    _TEXTS,
    frozenset({"DS", "IS"}),
    frozenset({"OB", "OW"}),
    frozenset({"US", "SS"}),
)
_SIZES: Final[Mapping[str, int]] = {
    **dict.fromkeys(("US", "SS", "OW"), 2),
    **dict.fromkeys(("AT", "FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
    "OB": 1,
}
_FORMS: Final[Mapping[str, re.Pattern[bytes]]] = {
    "CS": re.compile(rb"[A-Z0-9_ \\]*\0?"),
    "DS": re.compile(rb"[0-9+\-.eE \\]*\0?"),
    "IS": re.compile(rb"[0-9+\- \\]*\0?"),
    "UI": re.compile(rb"[0-9.\\]*\0*"),
}


def settled_vr(tag: int, found: str) -> str:
    """Return the VR to go by: the one found if PS3.6 allows it, PS3.6's own for UN, else "".

    Args:
        tag: Of the element.
        found: The VR that stands in the data set.
    """
    known = dictionary_vr(tag)
    allowed = known.split(" or ")
    if found in allowed:
        return found
    # In implicit VR PS3.6 alone says the VR, and may leave it open.
    if found in (known, "UN"):
        return allowed[0]
    alike = any(found in one and known in one for one in _CLASSES)
    return found if alike else ""


class Values:
    """Treats the values of one patient's data sets.

    Args:
        encoder: Writes elements in their encoding.
        pseudonyms: Of the project.
        subject: The patient.
        encodings: Python encodings of text.
        shifts_text: Whether dates in text are moved and stay, instead of going.
    """

    def __init__(
        self,
        encoder: Encoder,
        pseudonyms: Pseudonyms,
        subject: Subject,
        encodings: tuple[str, ...],
        *,
        shifts_text: bool = False,
    ) -> None:
        self._encoder = encoder
        self._pseudonyms = pseudonyms
        self._subject = subject
        self._encodings = encodings
        self._text_shift = subject.shift_days if shifts_text else None
        self._shifts: Mapping[str, Callable[[str], str]] = {
            "DA": lambda text: shifted_date(text, subject.shift_days),
            "DT": lambda text: shifted_date_time(text, subject.shift_days),
            "TM": kept_time,
        }
        self._treat: Mapping[Treatment, Callable[[int, str, memoryview], bytes | None]] = {
            Treatment.KEEP: self._kept,
            Treatment.EMPTY: lambda tag, vr, _: encoder.element(tag, vr, b""),
            Treatment.DUMMY: self._dummy,
            Treatment.UID: self._uid,
            Treatment.SHIFT: self._shifted,
            Treatment.CLEAN: self._cleaned,
            Treatment.CLEAN_OR_DUMMY: self._cleaned_or_dummy,
            Treatment.AGE: self._age,
            Treatment.NAME: self._name,
            Treatment.PATIENT: self._patient,
        }

    def treated(self, treatment: Treatment, tag: int, vr: str, value: memoryview) -> bytes | None:
        """Return the element that takes a value's place: b"" when it goes, None when it stays."""
        return self._treat[treatment](tag, vr, value)

    def _kept(self, tag: int, vr: str, value: memoryview) -> bytes | None:
        size = _SIZES.get(vr)
        if size is not None:
            return b"" if len(value) % size else None
        form = _FORMS.get(vr)
        if form is not None and form.fullmatch(value):
            return None
        if vr in _TEXTS or vr in ("CS", "AE"):
            return self._name(tag, vr, value)
        if vr == "AS":
            return self._each(tag, vr, value, capped_age)
        if vr in self._shifts:
            return None if self._each(tag, vr, value, _unmoved[vr]) else b""
        return b""

    def _dummy(self, tag: int, vr: str, value: memoryview) -> bytes:
        if vr == "UI":
            return self._uid(tag, vr, value)
        size = 1 if vr == "UN" else _SIZES.get(vr)
        if size is not None:
            return self._encoder.element(tag, vr, bytes(max(size, 2)))
        dummy = DUMMIES.get(vr)
        return self._encoder.text(tag, vr, dummy) if dummy is not None else b""

    def _uid(self, tag: int, vr: str, value: memoryview) -> bytes:
        if vr != "UI" or len(value) > _MAX_CLEANED_CHARS:
            return b""
        uids = bytes(value).decode("latin-1").strip(" \0").split("\\")
        text = "\\".join(self._pseudonyms.uid(uid.strip(" \0")) if uid else "" for uid in uids)
        return self._encoder.text(tag, vr, text)

    def _shifted(self, tag: int, vr: str, value: memoryview) -> bytes:
        shift = self._shifts.get(vr)
        return self._each(tag, vr, value, shift) if shift is not None else b""

    def _each(self, tag: int, vr: str, value: memoryview, change: Callable[[str], str]) -> bytes:
        if len(value) > _MAX_CLEANED_CHARS:
            return b""
        texts = bytes(value).decode("latin-1").strip(" \0").split("\\")
        changed = "\\".join(change(text) for text in texts)
        return self._encoder.text(tag, vr, changed)

    def _cleaned(self, tag: int, vr: str, value: memoryview) -> bytes:
        text = self._clean_text(vr, value)
        return self._encoder.text(tag, vr, text) if text is not None else b""

    def _cleaned_or_dummy(self, tag: int, vr: str, value: memoryview) -> bytes:
        text = self._clean_text(vr, value)
        return self._encoder.text(tag, vr, text) if text else self._dummy(tag, vr, value)

    def _clean_text(self, vr: str, value: memoryview) -> str | None:
        if vr not in _CLEANABLE or len(value) > _MAX_CLEANED_CHARS:
            return None
        values = self._text(value).split("\\") if vr in ("LO", "SH", "UC") else [self._text(value)]
        return "\\".join(cleaned(one, self._subject, self._text_shift) for one in values)

    def _age(self, tag: int, vr: str, value: memoryview) -> bytes | None:
        try:
            years = float(bytes(value[:_LONGEST_NUMBER]).strip(b" \0"))
        except ValueError:
            return self._dummy(tag, vr, value)
        return None if years <= OLDEST_AGE else self._encoder.text(tag, vr, str(OLDEST_AGE + 1))

    def _name(self, tag: int, vr: str, value: memoryview) -> bytes | None:
        if len(value) > _MAX_CLEANED_CHARS:
            return b""
        text = self._text(value)
        # What does not decode is of another character set than it says: it may say anything.
        if _UNDECODED not in text and not self._subject.is_named_in(text):
            return None
        return self._cleaned(tag, vr, value) if vr in _TEXTS else b""

    def _patient(self, tag: int, vr: str, _value: memoryview) -> bytes:
        expected = "PN" if tag == PATIENT_NAME else "LO"
        if vr != expected:
            return b""
        return self._encoder.text(tag, vr, self._subject.pseudonym)

    def _text(self, value: memoryview) -> str:
        text = charset.decode(bytes(value), self._encodings)
        return charset.clean(text, _MAX_CLEANED_CHARS)


_unmoved: Final[Mapping[str, Callable[[str], str]]] = {
    "DA": lambda text: shifted_date(text, 0),
    "DT": lambda text: shifted_date_time(text, 0),
    "TM": kept_time,
}
