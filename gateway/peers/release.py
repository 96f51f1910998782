"""What goes to a peer outside: released copies of its de-identification project, nothing else."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.peers.copies import HEAD_BYTES, syntax_of_copy
from gateway.peers.errors import PeerOutsideError
from gateway.peers.peer import Peer, Recipient, ReleasedCopies
from gateway.peers.selection import Selected
from gateway.query_retrieve.stored import NOT_READ, StoredInstance, StoredInstances
from heimdallr.deid.v1 import review_service_pb2 as pb
from heimdallr.deid.v1 import review_service_pb2_grpc as pb_grpc
from services.runtime.blob_messages import blob_from_proto
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import DependencyUnavailableError, NotReleasedError

_FIRST_WAIT_S: Final = 0.25
_LONGEST_WAIT_S: Final = 4.0
_HELD: Final = "de-identification held instances, or stopped"


@dataclass(frozen=True, slots=True)
class Preparing:
    """How far de-identification is.

    Attributes:
        deidentified: Instances that it is done with, held ones too.
        held: Instances that stay inside.
    """

    deidentified: int
    held: int


@dataclass(frozen=True, slots=True)
class Consignment:
    """What is to be sent, and to whom it may be."""

    recipient: Recipient
    items: Sequence[Selected]


@dataclass(slots=True)
class _Released:
    state: pb.ReleaseState.ValueType
    counts: pb.ListReleasedResponse
    objects: list[pb.ReleasedObject]


class Releases:
    """Has studies de-identified for peers outside and hands out what was released.

    Args:
        review: Tells what was released, and has it made.
        stored: Reads it.
        timeout_s: Longest time that is waited for it.
    """

    def __init__(
        self,
        review: pb_grpc.DeidReviewServiceAsyncStub,
        stored: StoredInstances,
        timeout_s: float,
    ) -> None:
        self._review = review
        self._stored = stored
        self._timeout_s = timeout_s

    async def consign(
        self, peer: Peer, selected: Sequence[Selected], *, released_only: bool = False
    ) -> AsyncGenerator[Preparing | Consignment, None]:
        """Yield how far it is, and at the end what may be sent: to a peer inside as it is stored.

        Args:
            peer: Where it is to go.
            selected: What.
            released_only: Send what is released although other instances are held.

        Raises:
            PeerOutsideError: The peer is outside and has no project, or a copy is none.
            NotReleasedError: Something is held.
            DependencyUnavailableError: Nobody can be asked now, or it takes too long.
        """
        if peer.inside:
            yield Consignment(Recipient(peer), selected)
            return
        check_project(peer)
        wanted = {item.instance.instance_id: item.instance for item in selected}
        done = held = 0
        found: list[pb.ReleasedObject] = []
        for study_id, series_ids in _by_study(selected).items():
            request = _request(peer, study_id, series_ids, despite_held=released_only)
            async for released in self._waited(request):
                count = released.counts
                now = count.released_count + count.held_count + count.rejected_count
                yield Preparing(done + now, held + count.held_count + count.rejected_count)
            self._refuse_held(released, released_only=released_only)
            done, held = done + now, held + count.held_count + count.rejected_count
            found += [one for one in released.objects if one.instance_id in wanted]
        yield Preparing(done, len(wanted) - len(found))
        yield await self._consignment(peer, found, wanted)

    async def begin(self, peer: Peer, instances: Sequence[StoredInstance]) -> Consignment | None:
        """Return what may be sent now; None when it is not made yet, which is begun then.

        Raises:
            PeerOutsideError, NotReleasedError, DependencyUnavailableError: As `consign`.
        """
        selected = [Selected(instance, "", "") for instance in instances]
        if peer.inside:
            return Consignment(Recipient(peer), selected)
        check_project(peer)
        wanted = {instance.instance_id: instance for instance in instances}
        found: list[pb.ReleasedObject] = []
        waits = False
        for study_id, series_ids in _by_study(selected).items():
            request = _request(peer, study_id, series_ids, despite_held=False)
            released = await self._list(request)
            if released.state == pb.RELEASE_STATE_NOT_BEGUN:
                await self._start(request)
            waits |= released.state in (pb.RELEASE_STATE_NOT_BEGUN, pb.RELEASE_STATE_RUNNING)
            if not waits:
                self._refuse_held(released, released_only=False)
            found += [one for one in released.objects if one.instance_id in wanted]
        return None if waits else await self._consignment(peer, found, wanted)

    async def _waited(self, request: pb.ListReleasedRequest) -> AsyncGenerator[_Released, None]:
        """Yield how far a study is until nothing works on it any more."""
        deadline, wait_s, begun = time.monotonic() + self._timeout_s, _FIRST_WAIT_S, False
        while True:
            released = await self._list(request)
            yield released
            if released.state == pb.RELEASE_STATE_NOT_BEGUN and not begun:
                await self._start(request)
                begun = True
            elif released.state in (pb.RELEASE_STATE_HELD, pb.RELEASE_STATE_COMPLETE):
                return
            if time.monotonic() > deadline:
                raise DependencyUnavailableError("deid")
            await asyncio.sleep(wait_s)
            wait_s = min(1.5 * wait_s, _LONGEST_WAIT_S)

    @staticmethod
    def _refuse_held(released: _Released, *, released_only: bool) -> None:
        if released.state == pb.RELEASE_STATE_COMPLETE:
            return
        if not (released_only and released.state == pb.RELEASE_STATE_HELD):
            counts = released.counts
            raise NotReleasedError(
                _HELD,
                released_count=str(counts.released_count),
                held_count=str(counts.held_count),
            )

    async def _list(self, request: pb.ListReleasedRequest) -> _Released:
        released: _Released | None = None
        call = self._review.ListReleased(request)
        try:
            with typed_errors():
                async for answer in call:
                    released = released or _Released(answer.state, answer, [])
                    released.objects.extend(answer.objects)
        except ServiceCallError:
            raise DependencyUnavailableError("deid") from None
        finally:
            call.cancel()
        if released is None:
            raise DependencyUnavailableError("deid")
        return released

    async def _start(self, request: pb.ListReleasedRequest) -> None:
        start = pb.StartDeidentificationRequest(
            project_id=request.project_id,
            study_id=request.study_id,
            series_ids=request.series_ids,
        )
        try:
            with typed_errors():
                await self._review.StartDeidentification(start)
        except ServiceCallError:
            raise DependencyUnavailableError("deid") from None

    async def _consignment(
        self,
        peer: Peer,
        found: Sequence[pb.ReleasedObject],
        wanted: dict[str, StoredInstance],
    ) -> Consignment:
        items = [await self._copy(peer, one, wanted[one.instance_id]) for one in found]
        hashes = frozenset(item.instance.ref.sha256 for item in items)
        return Consignment(Recipient(peer, ReleasedCopies(peer.deid_project_id, hashes)), items)

    async def _copy(
        self, peer: Peer, made: pb.ReleasedObject, original: StoredInstance
    ) -> Selected:
        ref = blob_from_proto(made.released)
        if ref.sha256 == original.ref.sha256:
            raise PeerOutsideError(peer.name)
        copy = replace(
            original,
            sop_class_uid=made.sop_class_uid,
            sop_instance_uid=made.sop_instance_uid,
            ref=ref,
            is_copy=True,
        )
        try:
            head = await self._stored.head(copy, HEAD_BYTES)
        except NOT_READ:
            raise DependencyUnavailableError("blobs") from None
        syntax = syntax_of_copy(head, made.sop_instance_uid)
        if not syntax:
            raise PeerOutsideError(peer.name)
        copy = replace(copy, transfer_syntax_uid=syntax)
        return Selected(copy, made.study_instance_uid, made.series_instance_uid)


def check_project(peer: Peer) -> None:
    """Check that something could be sent to a peer at all.

    Raises:
        PeerOutsideError: It is outside and has no project.
    """
    if not peer.inside and not peer.deid_project_id:
        raise PeerOutsideError(peer.name)


def _by_study(selected: Sequence[Selected]) -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for item in selected:
        found[item.instance.study_id].add(item.instance.series_id)
    return dict(found)


def _request(
    peer: Peer, study_id: str, series_ids: set[str], *, despite_held: bool
) -> pb.ListReleasedRequest:
    return pb.ListReleasedRequest(
        project_id=peer.deid_project_id,
        study_id=study_id,
        series_ids=sorted(series_ids),
        despite_held=despite_held,
    )
