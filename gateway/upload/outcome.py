"""What became of an upload, as a document."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from gateway.handover import Disposition

_MOST_LISTED: Final = 1000


@dataclass(frozen=True, slots=True)
class Passed:
    """A file that was not taken.

    Attributes:
        place: Its number in the archive, from 1; its name is told to nobody.
        reason: Why, in words of ours.
    """

    place: int
    reason: str


@dataclass(slots=True)
class Outcome:
    """Counts of all files, and the first thousand that were not taken.

    Attributes:
        finished: Whether all of the upload was looked at.
        next_place: The first file that was not looked at yet, from 1.
        stored: Instances that are new.
        duplicates: Instances that were there before, byte for byte.
        conflicts: Instances whose UID was there before with other bytes; kept aside and flagged.
        journaled: Instances that are durable and will be indexed when the coordinator is back.
        refused_count: DICOM files that were not taken.
        skipped_count: Files that are no DICOM instances.
        refused: The first of those refused.
        skipped: The first of those skipped.
        references: Files that DICOMDIRs refer to.
        references_refused: References that lead out of their folder; nothing was read there.
        references_missing: References to files that the upload does not hold.
        failure: Why the upload as a whole was not taken; empty when it was.
    """

    finished: bool = False
    next_place: int = 1
    stored: int = 0
    duplicates: int = 0
    conflicts: int = 0
    journaled: int = 0
    refused_count: int = 0
    skipped_count: int = 0
    refused: list[Passed] = field(default_factory=list)
    skipped: list[Passed] = field(default_factory=list)
    references: int = 0
    references_refused: int = 0
    references_missing: int = 0
    failure: str = ""

    @property
    def durable_count(self) -> int:
        """Instances that are kept."""
        return self.stored + self.duplicates + self.conflicts + self.journaled

    def count(self, disposition: Disposition) -> None:
        """Note an instance that is durable."""
        if disposition is Disposition.STORED:
            self.stored += 1
        elif disposition is Disposition.DUPLICATE:
            self.duplicates += 1
        elif disposition is Disposition.CONFLICT:
            self.conflicts += 1
        else:
            self.journaled += 1

    def refuse(self, place: int, reason: str) -> None:
        """Note a DICOM file that was not taken."""
        self.refused_count += 1
        if len(self.refused) < _MOST_LISTED:
            self.refused.append(Passed(place, reason))

    def skip(self, place: int, reason: str) -> None:
        """Note a file that is no DICOM instance."""
        self.skipped_count += 1
        if len(self.skipped) < _MOST_LISTED:
            self.skipped.append(Passed(place, reason))

    def to_json(self) -> dict[str, Any]:
        """Return the document."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Outcome:
        """Return what `to_json` wrote."""
        lists = {
            name: [Passed(**passed) for passed in document[name]] for name in ("refused", "skipped")
        }
        return cls(**{**document, **lists})
