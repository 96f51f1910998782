"""What de-identification does with one object, told attribute by attribute to who reviews it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from pydicom.datadict import keyword_for_tag

from services.deid.approvals import Approvals
from services.deid.deidentify import Deidentifier
from services.deid.errors import DeidRefusedError
from services.deid.finding_text import boxes_of, finding
from services.deid.profile.reasons import action_of, rule_of
from services.deid.profile.treatment import Profile
from services.deid.rewrite import Part, Step
from services.dicom import charset
from services.dicom.encoding import header_reader
from services.dicom.part10 import split_part10
from services.dicom.uids import TransferSyntax, transfer_syntax

MAX_CHANGES: Final = 5000
MAX_CHARS: Final = 256
_CHARACTER_SET: Final = 0x00080005
_LEFT_IN: Final = "IDENTIFIER_FOUND"
_ASCII: Final = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
_TEXTS: Final = _ASCII | {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}
_CLASSES: Final = (4, 16, 64)


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of an attribute.

    Attributes:
        element: Path of tags and item numbers.
        keyword: Of PS3.6; empty when it knows none.
        action: Action code of PS3.15.
        rule: Which rule, in words.
        before: Value before, masked unless it is revealed.
        after: Value after; empty when there is none.
    """

    element: str
    keyword: str
    action: str
    rule: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """An object before and after.

    Attributes:
        changes: In the order of the object, the first 5,000.
        kept_count: Attributes that stay as they are.
        findings: Why it would be held.
        boxes: Where pixels are blanked, or text was found.
    """

    changes: Sequence[Change]
    kept_count: int
    findings: Sequence[dict[str, str]]
    boxes: Sequence[dict[str, Any]]

    @property
    def as_json(self) -> dict[str, Any]:
        """The comparison for a pipe."""
        return asdict(self)


def compare(
    deidentifier: Deidentifier, file: bytes | memoryview, *, reveal: bool = False
) -> Comparison:
    """Return what is done with an object, also when it would be held.

    Args:
        deidentifier: Does it.
        file: A whole DICOM file (PS3.10).
        reveal: Whether values are told as they are.

    Raises:
        DicomError: It is not DICOM, or breaks the encoding rules.
        DeidRefusedError: It cannot be treated at all.
    """
    approvals = Approvals(looking=True)
    meta, _ = split_part10(file)
    notes = _Notes(transfer_syntax(meta.transfer_syntax_uid))
    released = deidentifier.deidentify(file, approvals, notes.note)
    held = approvals.findings
    seen = [box for one in held for box in boxes_of(one)]
    boxes = [asdict(box) for box in dict.fromkeys((*released.boxes, *seen))]
    told = _Telling(notes, deidentifier.profile, held, reveal=reveal)
    changes = [told.change(step) for step in notes.changed]
    return Comparison(changes, notes.kept_count, [finding(one) for one in held], boxes)


@dataclass
class _Notes:
    """Keeps what changed, and counts what did not."""

    syntax: TransferSyntax
    changed: list[Step] = field(default_factory=list)
    kept_count: int = 0
    encodings: tuple[str, ...] = charset.DEFAULT_ENCODINGS

    def note(self, step: Step) -> None:
        if step.path == (_CHARACTER_SET,):
            self.encodings = charset.encodings_of(bytes(step.before))
        if not step.changed:
            self.kept_count += 1
        elif len(self.changed) < MAX_CHANGES:
            self.changed.append(step)


class _Telling:
    """Says what was noted, and no value that may not be known."""

    def __init__(
        self,
        notes: _Notes,
        profile: Profile,
        findings: Sequence[DeidRefusedError],
        *,
        reveal: bool,
    ) -> None:
        self._encodings = notes.encodings
        self._profile = profile
        self._reveal = reveal
        # What was left in by mistake would be shown as the outcome.
        self._shows_after = reveal or all(one.code != _LEFT_IN for one in findings)
        self._read = (notes.syntax.explicit_vr, notes.syntax.little_endian)

    def change(self, step: Step) -> Change:
        tag = step.path[-1]
        after = self._value(step.element)
        return Change(
            element_path(step.path),
            keyword_for_tag(tag) if not tag >> 16 & 1 else "",
            action_of(step.treatment, removed=not step.element, emptied=not len(after)),
            rule_of(self._profile, tag, step.treatment),
            self._told(step.vr, step.before, shown=self._reveal),
            self._told(step.vr, after, shown=self._shows_after),
        )

    def _value(self, element: Part) -> Part:
        if not len(element):
            return b""
        explicit_vr, little_endian = self._read
        read = header_reader(element, explicit_vr=explicit_vr, little_endian=little_endian)
        return element[read(0, len(element))[2] :]

    def _told(self, vr: str, value: Part, *, shown: bool) -> str:
        if not len(value):
            return ""
        if not shown:
            return masked(vr, len(value))
        if vr not in _TEXTS:
            return f"{len(value)} bytes"
        encodings = charset.DEFAULT_ENCODINGS if vr in _ASCII else self._encodings
        text = charset.decode(bytes(value[: 4 * MAX_CHARS]), encodings)
        return charset.clean(text, MAX_CHARS).strip()


def masked(vr: str, length: int) -> str:
    """Return what may be said of a value: its VR, and by asterisks how long it is, roughly."""
    asterisks = 1 + sum(length > one for one in _CLASSES)
    return f"{vr or '??'} {'*' * asterisks}"


def element_path(path: Sequence[int]) -> str:
    """Return tags and item numbers between them as "00400275[1].00400007"."""
    tags, items = path[::2], path[1::2]
    inner = "".join(f"{tag:08x}[{item}]." for tag, item in zip(tags, items, strict=False))
    return f"{inner}{path[-1]:08x}"
