"""What intake remembers of what it committed: hints that spare statements, never a truth.

The database is asked all the same; a hint that is wrong costs a statement.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Final

from services.coordinator.intake.envelope import Envelope, Source

_MOST: Final = 10_000
_TELL_EVERY_S: Final = 1.0


class Acquaintances:
    """Associations and series whose rows are committed, and when a study's growth was told."""

    def __init__(self) -> None:
        self._sources: set[str] = set()
        self._series: set[tuple[str, str]] = set()
        self._told: dict[str, float] = {}

    def knows_source(self, source: Source) -> bool:
        """Return whether the row of an association is there."""
        return source.association_id in self._sources

    def knows(self, envelope: Envelope) -> bool:
        """Return whether association, study and series of an instance are there."""
        arrival = envelope.arrival
        key = (arrival.study.study_instance_uid, arrival.series.series_instance_uid)
        return key in self._series and self.knows_source(envelope.source)

    def meet(self, envelopes: Sequence[Envelope]) -> None:
        """Remember what was committed."""
        for known in (self._sources, self._series):
            if len(known) > _MOST:
                known.clear()
        for envelope in envelopes:
            arrival = envelope.arrival
            self._sources.add(envelope.source.association_id)
            uids = (arrival.study.study_instance_uid, arrival.series.series_instance_uid)
            self._series.add(uids)

    def may_tell(self, studies: Collection[str]) -> bool:
        """Return whether the growth of one of some studies may be due to be told, and note it."""
        now = time.monotonic()
        due = [uid for uid in studies if now - self._told.get(uid, 0.0) > _TELL_EVERY_S]
        if len(self._told) > _MOST:
            self._told.clear()
        self._told.update(dict.fromkeys(due, now))
        return bool(due)
