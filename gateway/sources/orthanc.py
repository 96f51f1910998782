"""Follows an Orthanc: first all its studies, then what changes.

Where it stands is told only after what was before is durable here, so that a gateway that dies
does some of it again and misses nothing.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Final

from gateway.file_door import FileDoor
from gateway.handover import HandoverError
from gateway.peers.directory import PeerDirectory
from gateway.refusal import RefusedError
from gateway.source import Door, Source
from gateway.sources.held import Held
from gateway.sources.orthanc_client import Listed, NotThereError, OrthancClient, orthanc
from gateway.sources.settings import SourceSettings
from gateway.sources.work import SourceError, Work
from services.dicom.errors import NotDicomError
from services.dicom.uids import valid_uid
from services.runtime.errors import BlobNotFoundError
from services.runtime.ids import new_id

_PAGE: Final = 100
_STEP: Final = 50
"""Pages overlap: a study that is deleted meanwhile moves no other past the page's edge."""
_CHANGES: Final = 500
_NEW: Final = {"NewStudy": "", "StableStudy": "", "NewSeries": "series", "StableSeries": "series"}
"""Changes that may bring something, and what leads from them to the study."""


@dataclass
class Stand:
    """Where we are with an Orthanc.

    Attributes:
        seq: Number of the last change that was looked at; -1 before all studies were.
        page: How many studies were reconciled; -1 when that is not going on.
        seq_after: The last change before reconciling began.
    """

    seq: int = -1
    page: int = -1
    seq_after: int = 0

    @classmethod
    def read(cls, cursor: str) -> Stand:
        """Return what `text` wrote."""
        try:
            return cls(**{name: int(value) for name, value in json.loads(cursor).items()})
        except (ValueError, TypeError, AttributeError):
            return cls()

    def text(self) -> str:
        """Return where we are as a cursor."""
        return json.dumps(asdict(self))


class Orthancs:
    """Fetches from Orthanc servers.

    Args:
        directory: Where peers are registered.
        door: Takes DICOM files.
        held: What is here already.
        settings: Bounds.
    """

    def __init__(
        self, directory: PeerDirectory, door: FileDoor, held: Held, settings: SourceSettings
    ) -> None:
        self._directory = directory
        self._door = door
        self._held = held
        self._settings = settings

    async def work(self, work: Work) -> None:
        """Fetch what is new, and all that lacks where that is asked for.

        Raises:
            SourceError: The Orthanc cannot be fetched from.
            ServiceCallError, ServiceError: Something of ours is away.
        """
        spec = work.spec.orthanc
        peer = await self._directory.by_id(spec.peer_id)
        async with orthanc(peer, spec.rest_path, self._settings) as client:
            following = _Following(work, client, self._door, self._held, self._settings, peer.name)
            try:
                await following.run()
            except NotThereError:
                raise SourceError("what answers there is no Orthanc") from None


class _Following:
    """One turn at one Orthanc."""

    def __init__(
        self,
        work: Work,
        client: OrthancClient,
        door: FileDoor,
        held: Held,
        settings: SourceSettings,
        peer_name: str,
    ) -> None:
        self._work = work
        self._client = client
        self._door = door
        self._held = held
        self._settings = settings
        self._peer_name = peer_name
        self._stand = Stand.read(work.reached)

    async def run(self) -> None:
        work, stand = self._work, self._stand
        for noticed in work.turn.noticed_orthanc_ids:
            await self._study(noticed)
            work.done_notices.append(noticed)
            await work.keep_now_and_then()
        if await self._was_emptied():
            stand.seq = stand.page = -1
        if (work.turn.reconcile or stand.seq < 0) and stand.page < 0:
            stand.page, stand.seq_after = 0, await self._client.last_change()
        if stand.page >= 0:
            await self._reconcile()
        await self._follow()

    async def _was_emptied(self) -> bool:
        """Tell whether Orthanc counts its changes anew, as it does with another database."""
        return self._stand.seq > await self._client.last_change()

    async def _reconcile(self) -> None:
        stand = self._stand
        total = await self._client.study_count()
        seen: set[str] = set()
        while page := await self._client.studies(stand.page, _PAGE):
            for study in page:
                if study not in seen:
                    self._work.text = f"reconciling {self._work.counts.studies} of {total} studies"
                    await self._study(study, told_anew=False)
            seen = set(page)
            stand.page += _STEP
            await self._keep()
            if len(page) < _PAGE:
                break
        stand.seq, stand.page = max(stand.seq, stand.seq_after), -1
        self._work.reconciled = True
        await self._keep()

    async def _follow(self) -> None:
        stand, done = self._stand, False
        while not done:
            changes, last, done = await self._client.changes(stand.seq, _CHANGES)
            self._work.text = f"change {stand.seq} of {last}"
            studies: dict[str, None] = {}
            for change in changes:
                level = _NEW.get(change.kind)
                if level is not None:
                    study = await self._study_of(level, change.orthanc_id)
                    studies |= {study: None} if study else {}
            for study in studies:
                await self._study(study)
            if not changes and not done:
                raise SourceError("Orthanc's list of changes does not go on")
            stand.seq = max(stand.seq, last)
            await self._keep()

    async def _keep(self) -> None:
        self._work.cursor = self._stand.text()
        await self._work.keep()

    async def _study_of(self, level: str, orthanc_id: str) -> str:
        if not level:
            return orthanc_id
        try:
            return await self._client.study_of(level, orthanc_id)
        except NotThereError:
            return ""

    async def _study(self, orthanc_id: str, *, told_anew: bool = True) -> None:
        """Fetch what a study has there and not here; its size is told if something is new."""
        try:
            listed = await self._client.study(orthanc_id)
        except NotThereError:
            return
        self._work.counts.studies += 1
        if not valid_uid(listed.study_instance_uid):
            self._work.counts.refused += 1
            return
        here = await self._held.instances(listed.study_instance_uid)
        missing = [orthanc_id for uid, orthanc_id in listed.instances.items() if uid not in here]
        self._work.counts.known += len(listed.instances) - len(missing)
        if missing:
            await self._fetch(missing)
        if missing or told_anew:
            await self._confirm(listed)

    async def _fetch(self, orthanc_ids: list[str]) -> None:
        source = Source(Door.SOURCE, new_id(), "", "", "")
        slots = asyncio.Semaphore(self._settings.fetches)
        stored, released = 0, False

        async def fetch(orthanc_id: str) -> None:
            nonlocal stored
            async with slots:
                stored += await self._instance(orthanc_id, source)
                await self._work.keep_now_and_then()

        try:
            async with asyncio.TaskGroup() as group:
                for orthanc_id in orthanc_ids:
                    group.create_task(fetch(orthanc_id))
            released = True
        except BaseExceptionGroup as errors:
            # One is enough to tell what is the matter.
            raise errors.exceptions[0] from None
        finally:
            await self._door.leave(source, released=released, stored_count=stored)

    async def _instance(self, orthanc_id: str, source: Source) -> bool:
        """Fetch one instance; return whether it is durable here."""
        try:
            async with aclosing(self._client.file(orthanc_id)) as pieces:
                disposition, _ = await self._door.take(pieces, source)
        except NotThereError:
            return False
        except (NotDicomError, RefusedError, HandoverError):
            self._work.counts.refused += 1
            return False
        except (OSError, BlobNotFoundError):
            raise SourceError("storage failed") from None
        self._work.count(disposition)
        return True

    async def _confirm(self, listed: Listed) -> None:
        """Tell how many instances there are, once nothing more comes there (evidence B)."""
        if listed.is_stable and listed.instances:
            count = len(listed.instances)
            await self._held.confirm(listed.study_instance_uid, self._peer_name, count)
