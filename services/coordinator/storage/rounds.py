"""Rounds of collecting and of scrubbing, without transport or database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.runtime.blob_ref import BlobRef


@dataclass(slots=True)
class Collection:
    """One round of collecting garbage, and how far it has come.

    Attributes:
        failed: Whether it was broken off.
        prefix: First two digits of the hashes that are looked at next.
    """

    collection_id: str
    dry_run: bool
    begin_time: datetime
    end_time: datetime | None
    failed: bool
    prefix: str
    examined_count: int = 0
    set_aside_count: int = 0
    set_aside_bytes: int = 0
    restored_count: int = 0
    deleted_count: int = 0
    deleted_bytes: int = 0
    young_count: int = 0


class ScrubKind(StrEnum):
    """What a scrub reads, in this order."""

    INSTANCE = "instance"
    CONFLICT = "conflict"
    RESULT = "result"

    @property
    def following(self) -> ScrubKind | None:
        """What is read after it; None after the last."""
        kinds = list(ScrubKind)
        place = kinds.index(self) + 1
        return kinds[place] if place < len(kinds) else None


@dataclass(slots=True)
class Scrub:
    """One round of reading everything again, and how far it has come.

    Attributes:
        rate_bytes: Bytes it may read in a second; 0 means no limit.
        kind: What is read now.
        last_key: The last one read of these; empty before the first.
    """

    scrub_id: str
    begin_time: datetime
    end_time: datetime | None
    rate_bytes: int
    kind: ScrubKind
    last_key: str
    total_count: int = 0
    checked_count: int = 0
    checked_bytes: int = 0
    corrupt_count: int = 0
    missing_count: int = 0


class DamageKind(StrEnum):
    """What is wrong with a blob."""

    CORRUPT = "corrupt"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class NamedBlob:
    """A blob that a row names.

    Attributes:
        key: Place of the row among those of its kind.
        instance_id: None for a result.
    """

    key: str
    study_id: str
    instance_id: str | None
    blob: BlobRef


@dataclass(frozen=True, slots=True)
class Damage:
    """A blob that is not what it was."""

    study_id: str
    sha256: str
    instance_id: str | None
    kind: DamageKind
    find_time: datetime
