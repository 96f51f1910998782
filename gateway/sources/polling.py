"""Peers that are asked for studies of the last days, by QIDO-RS or C-FIND."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Protocol

from gateway.sources.held import Held
from gateway.sources.work import SourceError, Work
from heimdallr.sources.v1 import sources_service_pb2 as pb
from services.dicom.uids import valid_uid

_STUDY: Final = "0020000D"
_INSTANCE_COUNT: Final = "00201208"
_SERIES: Final = "0020000E"
_SOP_INSTANCE: Final = "00080018"
_MOST_KNOWN: Final = 2000


@dataclass(frozen=True, slots=True)
class Offered:
    """A study that a peer has.

    Attributes:
        study_instance_uid: Study Instance UID (0020,000D).
        count: How many instances it has there; zero where the peer does not say.
    """

    study_instance_uid: str
    count: int


@dataclass(slots=True)
class Fetched:
    """What came of fetching a study."""

    stored: int = 0
    known: int = 0
    failed: int = 0


class Exchange(Protocol):
    """How one peer is asked and fetched from."""

    def studies(
        self, first: date, last: date, modality: str
    ) -> AsyncIterator[tuple[list[str], bool]]:
        """Yield batches of matches in the DICOM JSON Model, and whether more were cut off."""
        ...

    def instances(self, study_instance_uid: str) -> AsyncIterator[list[str]]:
        """Yield batches of the instances of a study, likewise."""
        ...

    async def fetch(self, study_instance_uid: str) -> Fetched:
        """Fetch a study into our store."""
        ...


class Polling:
    """Fetches studies of the last days that lack here.

    Args:
        held: What is here already.
        exchange: How the peer of a source is asked.
        today: The date now.
    """

    def __init__(
        self,
        held: Held,
        exchange: Callable[[pb.SourceSpec], Exchange],
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self._held = held
        self._exchange = exchange
        self._today = today

    async def work(self, work: Work) -> None:
        """Look once at all studies that the filter lets pass.

        Raises:
            SourceError: More match than can be listed.
            ServiceCallError: The peer, or a part of ours, cannot be reached.
        """
        exchange = self._exchange(work.spec)
        wanted = getattr(work.spec, work.spec.WhichOneof("kind") or "").filter
        # A scanner's clock may be in tomorrow already.
        last = self._today() + timedelta(days=1)
        first = last - timedelta(days=wanted.days_back)
        offered: dict[str, Offered] = {}
        for modality in wanted.modalities or [""]:
            offered |= await _listed(exchange, first, last, modality)
        looked_at = LookedAt.read(work.reached, self._today())
        for number, study in enumerate(offered.values()):
            work.text = f"study {number + 1} of {len(offered)}"
            await self._study(work, exchange, study, looked_at)
            work.cursor = looked_at.text()
            await work.keep_now_and_then()

    async def _study(
        self, work: Work, exchange: Exchange, study: Offered, looked_at: LookedAt
    ) -> None:
        uid, count = study.study_instance_uid, study.count
        work.counts.studies += 1
        here = await self._held.instances(uid)
        there = set() if count else await _instances(exchange, uid)
        count = count or len(there)
        lacks = bool(there - here) if there else len(here) < count
        if looked_at.is_known(uid, count):
            # Told of already; what it lacks was not to be had.
            work.counts.known += len(here)
            return
        if lacks:
            fetched = await exchange.fetch(uid)
            work.counts.stored += fetched.stored
            work.counts.known += fetched.known
            work.counts.refused += fetched.failed
        else:
            work.counts.known += len(here)
        if count:
            await self._held.confirm(uid, work.spec.name, count)
            looked_at.add(uid, count)


class LookedAt:
    """Studies that were fetched as far as they can be, until the next day.

    Args:
        day: Today.
        counts: Instances the peer had of each, by a short hash of its UID.
    """

    def __init__(self, day: str, counts: dict[str, int]) -> None:
        self._day = day
        self._counts = counts

    @classmethod
    def read(cls, cursor: str, today: date) -> LookedAt:
        """Return what `text` wrote; nothing of an earlier day, which is looked at again."""
        day = today.isoformat()
        try:
            kept = json.loads(cursor)
            counts = {str(key): int(value) for key, value in kept["counts"].items()}
            return cls(day, counts if kept["day"] == day else {})
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls(day, {})

    def text(self) -> str:
        """Return what is known as a cursor."""
        return json.dumps({"day": self._day, "counts": self._counts}, separators=(",", ":"))

    def is_known(self, study_instance_uid: str, count: int) -> bool:
        """Return whether a study of that size was looked at today."""
        return self._counts.get(_key(study_instance_uid)) == count

    def add(self, study_instance_uid: str, count: int) -> None:
        """Note that a study was looked at; the oldest give way."""
        self._counts.pop(_key(study_instance_uid), None)
        self._counts[_key(study_instance_uid)] = count
        while len(self._counts) > _MOST_KNOWN:
            del self._counts[next(iter(self._counts))]


def _key(study_instance_uid: str) -> str:
    digest = hashlib.blake2b(study_instance_uid.encode("ascii"), digest_size=8).digest()
    return base64.b64encode(digest).decode("ascii")


async def _listed(exchange: Exchange, first: date, last: date, modality: str) -> dict[str, Offered]:
    """List the studies of some days; where there are too many, those of half the days each."""
    found: dict[str, Offered] = {}
    async for matches, truncated in exchange.studies(first, last, modality):
        if truncated and first == last:
            raise SourceError("more studies of one day match than can be listed")
        if truncated:
            middle = first + (last - first) // 2
            earlier = await _listed(exchange, first, middle, modality)
            return earlier | await _listed(exchange, middle + timedelta(days=1), last, modality)
        for match in matches:
            study = _offered(match)
            if study is not None:
                found[study.study_instance_uid] = study
    return found


async def _instances(exchange: Exchange, study_instance_uid: str) -> set[str]:
    found: set[str] = set()
    async for matches in exchange.instances(study_instance_uid):
        found.update(filter(valid_uid, (_value(_parsed(one), _SOP_INSTANCE) for one in matches)))
    return found


def series_uid(match: str) -> str:
    """Return the Series Instance UID of a match in the DICOM JSON Model; "" without one."""
    uid = _value(_parsed(match), _SERIES)
    return uid if valid_uid(uid) else ""


def _offered(match: str) -> Offered | None:
    parsed = _parsed(match)
    uid = _value(parsed, _STUDY)
    if not valid_uid(uid):
        return None
    count = _value(parsed, _INSTANCE_COUNT)
    return Offered(uid, int(count) if count.isascii() and count.isdecimal() else 0)


def _parsed(match: str) -> dict[str, Any]:
    try:
        parsed = json.loads(match)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _value(match: dict[str, Any], tag: str) -> str:
    element = match.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return str(values[0]).strip()[:64] if isinstance(values, list) and values else ""
