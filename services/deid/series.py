"""A series that is de-identified: object for object, with what it comes to in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.deid.certificate import Entry, certify
from services.deid.links import SealedLink
from services.deid.orders import Orders
from services.deid.provenance import VERSION
from services.deid.treating import Outcome
from services.runtime.blob_ref import BlobRef


@dataclass(frozen=True, slots=True)
class Source:
    """An object that is to be de-identified.

    Attributes:
        instance_id: Our id of it; empty for one that is not in the archive.
        blob: Its DICOM file.
        approved: Codes of findings that a person approved.
    """

    instance_id: str
    blob: BlobRef
    approved: Sequence[str]


@dataclass
class Ledger:
    """What became of the objects of a call so far.

    Attributes:
        entries: For the certificate, in their order.
        links: For the crosswalk, each once.
        released_count: Objects released.
    """

    entries: list[Entry] = field(default_factory=list)
    links: dict[tuple[str, str], SealedLink] = field(default_factory=dict)
    released_count: int = 0

    def add(self, outcome: Outcome) -> None:
        """Take note of one object."""
        self.entries.append(outcome.entry)
        self.released_count += outcome.released is not None
        for link in outcome.links:
            self.links.setdefault((link.kind, link.pseudonym), link)

    @property
    def held_count(self) -> int:
        """Objects held."""
        return len(self.entries) - self.released_count

    def certificate(self, orders: Orders) -> bytes:
        """Return the signed certificate over all of them."""
        time = datetime.now(UTC).isoformat(timespec="seconds")
        key = orders.key
        rules = [f"{one.tag:08x} {one.action.name.lower()}" for one in orders.rules]
        text = certify(
            key.first.key, key.key_id, orders.options, VERSION, time, self.entries, rules
        )
        return text.encode("utf-8")
