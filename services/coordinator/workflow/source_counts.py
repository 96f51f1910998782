"""Asks those who sent a study how many instances of it they have, while it is arriving."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from services.coordinator.workflow.manifests import Manifests
from services.coordinator.workflow.patience import keep_going
from services.coordinator.workflow.store import QUERIES
from services.runtime.postgres import Pool, connection

_MOST: Final = 100
_AT_ONCE: Final = 4
_ANSWER_S: Final = 5.0
_SILENT_FOR_S: Final = 600.0
_MOST_SILENT: Final = 1000


class CountSource(Protocol):
    """Knows how to ask a peer."""

    async def count(self, ae_title: str, study_instance_uid: str) -> tuple[str, int] | None:
        """Return the name of the peer and how many instances of a study it has.

        None when nobody inside is called so, or does not answer such questions.
        """
        ...


class _Asked(NamedTuple):
    study_id: str
    study_instance_uid: str
    instance_count: int
    last_receive_time: datetime
    ae_titles: Sequence[str]


class SourceCounts:
    """Asks once a study is quiet, again after every change, and one at a time of each study.

    Only a number that is what is here is kept: a peer that holds more may have meant to send a
    part. Several coordinators may ask the same.

    Args:
        pool: Pool of the database.
        manifests: Keeps the answers.
        source: Asks.
        quiet_after: How long nothing came before it is asked.
        every_s: Pause between looks, in seconds.
    """

    def __init__(
        self,
        pool: Pool,
        manifests: Manifests,
        source: CountSource,
        quiet_after: timedelta,
        every_s: float = 0.5,
    ) -> None:
        self._pool = pool
        self._manifests = manifests
        self._source = source
        self._quiet_after = quiet_after
        self._every_s = every_s
        self._asked: dict[str, datetime] = {}
        self._silent: dict[str, float] = {}

    async def run(self) -> None:
        """Ask until cancelled; while the database is away, try again."""
        await keep_going("source_counts", self._look)

    async def ask(self) -> int:
        """Ask about every study that is due and return how many were confirmed."""
        studies = await self._due()
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(study: _Asked) -> bool:
            async with slots:
                return await self._ask(study)

        return sum(await asyncio.gather(*map(one, studies)))

    async def _look(self) -> None:
        await self.ask()
        await asyncio.sleep(self._every_s)

    async def _due(self) -> list[_Asked]:
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(QUERIES["unconfirmed"], self._quiet_after, _MOST)
        found = [_Asked(*row.values()) for row in rows]
        due = [one for one in found if self._asked.get(one.study_id) != one.last_receive_time]
        self._asked = {one.study_id: one.last_receive_time for one in found}
        return due

    async def _ask(self, study: _Asked) -> bool:
        for ae_title in self._speaking(study.ae_titles):
            answer = await self._answer(ae_title, study.study_instance_uid)
            if answer is None:
                self._note_silence(ae_title)
            elif answer[1] == study.instance_count:
                await self._manifests.confirm(study.study_instance_uid, *answer)
                return True
        return False

    async def _answer(self, ae_title: str, study_instance_uid: str) -> tuple[str, int] | None:
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await self._source.count(ae_title, study_instance_uid)
        except TimeoutError:
            return None

    def _speaking(self, ae_titles: Iterable[str]) -> list[str]:
        now = asyncio.get_running_loop().time()
        return [title for title in ae_titles if self._silent.get(title, now) <= now]

    def _note_silence(self, ae_title: str) -> None:
        # Most modalities answer no queries: they are not asked for every study.
        if len(self._silent) >= _MOST_SILENT:
            self._silent.clear()
        self._silent[ae_title] = asyncio.get_running_loop().time() + _SILENT_FOR_S
