"""DIMSE towards registered peers, for the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pynetdicom import AllStoragePresentationContexts

from gateway.file_door import FileDoor
from gateway.peers.peer import Peer, Recipient
from gateway.peers.reception import Reception
from gateway.peers.resolving import addresses
from gateway.peers.settings import ExchangeSettings
from gateway.peers.turns import Turns
from gateway.query_retrieve.stored import StoredInstance
from gateway.scu.association import Called, Caller
from gateway.scu.commit import Commitment, Commitments, new_transaction, request_commitment
from gateway.scu.echo import echo
from gateway.scu.fetching import prepare_folder, taker
from gateway.scu.find import Query, Truncated, find
from gateway.scu.get import MAX_SOP_CLASSES, GetProgress, get
from gateway.scu.identifier import Key, Level, Model, RetrieveKeys, check_outside
from gateway.scu.move import MoveProgress, move
from gateway.scu.worker import Outlet, result, results
from services.dicom.json import JsonObject
from services.runtime.errors import ServiceError

USUAL_SOP_CLASSES: Final = tuple(
    str(context.abstract_syntax) for context in AllStoragePresentationContexts[:MAX_SOP_CLASSES]
)
_MAX_SERIES: Final = 50


@dataclass(frozen=True, slots=True)
class Fetched:
    """How far a C-GET is.

    Attributes:
        remaining: Instances that the peer has still to send; -1 when it does not say.
        stored: Instances that were new to us.
        known: Instances that we had already.
        failed: Instances that we did not take or that the peer could not send.
    """

    remaining: int
    stored: int
    known: int
    failed: int


class DimseClient:
    """Speaks DIMSE to peers.

    Args:
        settings: Bounds and times.
        ae_title: Our AE title.
        door: Where fetched files come in.
        folder: Private folder for what is being fetched.
        turns: Shared with other clients.
    """

    def __init__(
        self,
        settings: ExchangeSettings,
        ae_title: str,
        door: FileDoor,
        folder: Path,
        turns: Turns,
    ) -> None:
        self._settings = settings
        self._caller = Caller(settings, ae_title)
        self._door = door
        self._turns = turns
        # One more for a question that an exchange asks while it runs.
        self._executor = ThreadPoolExecutor(2 * settings.max_exchanges, "scu")
        prepare_folder(folder)

    def close(self) -> None:
        """Begin nothing more."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def echo(self, peer: Peer) -> None:
        """Verify that a peer answers.

        Raises:
            PeerUnreachableError, PeerRefusedError: It does not.
            InvalidFieldError: It speaks no DIMSE.
            LimitExceededError: Too many exchanges at once.
        """
        with self._turns.one():
            called = await self._called(peer)
            await result(self._executor, lambda outlet: echo(self._caller, called, outlet))

    async def find(self, peer: Peer, query: Query) -> AsyncGenerator[JsonObject | Truncated, None]:
        """Yield matches in the DICOM JSON Model; ``Truncated`` last when the limit cut them.

        Raises:
            PeerOutsideError: A key could tell who somebody is, and the peer is not inside.
            PeerUnreachableError, PeerRefusedError, InvalidFieldError, LimitExceededError: As
                `echo`.
        """
        with self._turns.one():
            async with aclosing(self.matches(peer, query)) as found:
                async for match in found:
                    yield match

    async def matches(
        self, peer: Peer, query: Query
    ) -> AsyncGenerator[JsonObject | Truncated, None]:
        """Do as `find` within an exchange that has its turn."""
        check_outside(peer, query.keys)
        async with aclosing(self._find(await self._called(peer), query)) as found:
            async for match in found:
                yield match

    async def commitment(
        self, peer: Peer, instances: Sequence[StoredInstance], commitments: Commitments
    ) -> Commitment:
        """Ask a peer to commit to instances, within an exchange that has its turn.

        Raises:
            PeerUnreachableError, PeerRefusedError: It does not take the request.
            TimeoutError: No report came in time.
        """
        called, loop = await self._called(peer), asyncio.get_running_loop()
        transaction = new_transaction()
        reported = commitments.expect(transaction)

        def work(outlet: Outlet[bool]) -> None:
            request_commitment(
                self._caller, called, transaction, instances, commitments, loop, outlet
            )

        try:
            async with asyncio.timeout(self._settings.commit_timeout_s):
                await result(self._executor, work)
                return await reported
        finally:
            reported.cancel()

    async def move(
        self, peer: Peer, model: Model, keys: RetrieveKeys, destination: Recipient | None = None
    ) -> AsyncGenerator[MoveProgress, None]:
        """Make a peer send instances to another peer, or to us; yield what it tells.

        Raises:
            PeerOutsideError: A key could tell who somebody is, and the peer is not inside.
            PeerUnreachableError, PeerRefusedError, InvalidFieldError, LimitExceededError: As
                `echo`.
        """
        check_outside(peer, keys.keys(model))
        title = self._our_title(peer)
        if destination is not None:
            title = destination.peer.require_dimse().ae_title
        with self._turns.one():
            called = await self._called(peer)

            def work(outlet: Outlet[MoveProgress]) -> None:
                move(self._caller, called, model, keys, title, outlet)

            async with aclosing(results(self._executor, work)) as progress:
                async for item in progress:
                    yield item

    async def get(
        self,
        peer: Peer,
        model: Model,
        keys: RetrieveKeys,
        sop_class_uids: Sequence[str] = (),
    ) -> AsyncGenerator[Fetched, None]:
        """Fetch instances from a peer into our store; yield how far it is.

        Args:
            peer: Who has them.
            model: Information model.
            keys: What is fetched.
            sop_class_uids: What may come; the peer is asked when it is empty.

        Raises:
            PeerOutsideError: A key could tell who somebody is, and the peer is not inside.
            PeerUnreachableError, PeerRefusedError, InvalidFieldError, LimitExceededError: As
                `echo`.
        """
        check_outside(peer, keys.keys(model))
        with self._turns.one():
            called = await self._called(peer)
            classes = sop_class_uids or await self._sop_classes(called, model, keys)
            there = called.addresses[0]
            reception = Reception(self._door, peer, self._our_title(peer), there)
            whole = False
            try:
                async with aclosing(self._get(called, model, keys, classes, reception)) as all_of:
                    async for item in all_of:
                        yield item
                        whole = item.remaining == item.failed == 0
            finally:
                await reception.end(whole=whole)

    async def _get(
        self,
        called: Called,
        model: Model,
        keys: RetrieveKeys,
        classes: Sequence[str],
        reception: Reception,
    ) -> AsyncGenerator[Fetched, None]:
        take = taker(reception, asyncio.get_running_loop())
        most = self._settings.max_file_bytes

        def work(outlet: Outlet[GetProgress]) -> None:
            get(self._caller, called, model, keys, classes, take, most, outlet)

        async with aclosing(results(self._executor, work)) as progress:
            async for item in progress:
                failed = max(reception.failed, item.failed)
                yield Fetched(item.remaining, reception.stored, reception.known, failed)

    async def _sop_classes(self, called: Called, model: Model, keys: RetrieveKeys) -> Sequence[str]:
        """Ask which SOP classes a study holds; the usual ones where the peer does not say."""
        if len(keys.study_instance_uids) != 1:
            return USUAL_SOP_CLASSES
        study = [Key("PatientID", keys.patient_id)] if model is Model.PATIENT_ROOT else []
        study.append(Key("StudyInstanceUID", keys.study_instance_uids[0]))
        try:
            asked = [*study, Key("SOPClassesInStudy")]
            found = await self._values(called, Query(model, Level.STUDY, asked), "00080062")
            return found or await self._series_classes(called, model, study) or USUAL_SOP_CLASSES
        except ServiceError:
            return USUAL_SOP_CLASSES

    async def _series_classes(
        self, called: Called, model: Model, study: list[Key]
    ) -> Sequence[str]:
        asked = [*study, Key("SeriesInstanceUID")]
        query = Query(model, Level.SERIES, asked, _MAX_SERIES)
        found: dict[str, None] = {}
        for series in await self._values(called, query, "0020000E"):
            keys = [*study, Key("SeriesInstanceUID", series), Key("SOPInstanceUID")]
            keys.append(Key("SOPClassUID"))
            query = Query(model, Level.IMAGE, keys, 1)
            found |= dict.fromkeys(await self._values(called, query, "00080016"))
        return tuple(found)[:MAX_SOP_CLASSES]

    async def _values(self, called: Called, query: Query, tag: str) -> Sequence[str]:
        found: dict[str, None] = {}
        async for match in self._find(called, query):
            if not isinstance(match, Truncated):
                found |= dict.fromkeys(map(str, match.get(tag, {}).get("Value", ())))
        return tuple(found)[:MAX_SOP_CLASSES]

    async def _find(
        self, called: Called, query: Query
    ) -> AsyncGenerator[JsonObject | Truncated, None]:
        def work(outlet: Outlet[JsonObject | Truncated]) -> None:
            find(self._caller, called, query, outlet)

        async with aclosing(results(self._executor, work)) as found:
            async for item in found:
                yield item

    async def _called(self, peer: Peer) -> Called:
        there = peer.require_dimse()
        timeout_s = self._settings.connect_timeout_s
        return Called(peer, await addresses(peer.name, there.host, there.port, timeout_s))

    def _our_title(self, peer: Peer) -> str:
        return peer.require_dimse().calling_ae_title or self._caller.ae_title
