"""The archive as DICOMweb asks it: always with the caller's own token."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import grpc

from gateway.dicomweb.problems import problems
from gateway.http.problem import not_found
from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from services.runtime.blob_messages import blob_from_proto
from services.runtime.blob_ref import BlobRef

_TIMEOUT_S: Final = 60.0
_REMEMBERED_SERIES: Final = 64
_REMEMBERED_INSTANCES: Final = 50_000
"""In all series together; a series that is larger by itself is forgotten when the next comes."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an address names; "" for what it does not name."""

    study: str
    series: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class Located:
    """An instance and where its bytes are."""

    target: Target
    sop_class_uid: str
    transfer_syntax_uid: str
    number_of_frames: int
    blob: BlobRef
    study_id: str
    series_id: str


class Archive:
    """Searches and finds.

    Args:
        plain: Channel that sends no token by itself.
        remember_s: How long it is remembered for a caller where a series' instances are.
    """

    def __init__(self, plain: grpc.aio.Channel, remember_s: float) -> None:
        self._stub = ArchiveServiceStub(plain)
        self._remember_s = remember_s
        self._series: OrderedDict[tuple[str, str, str], _Remembered] = OrderedDict()

    async def query(self, token: str, request: pb.QueryRequest) -> AsyncIterator[pb.QueryRow]:
        """Yield what matches.

        Raises:
            Problem: It cannot be searched.
        """
        with problems():
            answers = self._stub.Query(request, metadata=_bearer(token), timeout=_TIMEOUT_S)
            async for answer in answers:
                for row in answer.rows:
                    yield row

    async def instances(self, token: str, target: Target) -> list[Located]:
        """Return the instances of what is named, as they are now.

        Raises:
            Problem: There is none, or the caller may not see it.
        """
        request = pb.LocateInstancesRequest(
            study_instance_uids=[target.study],
            series_instance_uids=[target.series] if target.series else [],
            sop_instance_uids=[target.instance] if target.instance else [],
        )
        found: list[Located] = []
        with problems():
            answers = self._stub.LocateInstances(
                request, metadata=_bearer(token), timeout=_TIMEOUT_S
            )
            async for answer in answers:
                found += [_located(instance) for instance in answer.instances]
        if not found:
            raise not_found()
        return found

    async def instance(self, token: str, target: Target) -> Located:
        """Return one instance.

        A viewer asks for the frames of a series one after another: the whole series is found at
        once, recorded as fetched by this caller, and remembered for a few seconds.

        Raises:
            Problem: There is none, or the caller may not see it.
        """
        digest = hashlib.sha256(token.encode()).hexdigest()
        key = (digest, target.study, target.series)
        remembered = self._series.get(key)
        if remembered is None or remembered.until < time.monotonic():
            remembered = self._remember(key, token, target)
        series = await asyncio.shield(remembered.found)
        found = series.get(target.instance)
        if found is None:
            # It may have come since.
            (found, *_) = await self.instances(token, target)
        return found

    def _remember(self, key: tuple[str, str, str], token: str, target: Target) -> _Remembered:
        finding = asyncio.ensure_future(self._find(token, Target(target.study, target.series)))
        remembered = _Remembered(time.monotonic() + self._remember_s, finding)
        self._series[key] = remembered
        self._series.move_to_end(key)
        while len(self._series) > _REMEMBERED_SERIES:
            self._series.popitem(last=False)

        def found(done: asyncio.Future[dict[str, Located]]) -> None:
            if done.cancelled() or done.exception() is not None:
                self._series.pop(key, None)
            self._forget_old()

        finding.add_done_callback(found)
        return remembered

    def _forget_old(self) -> None:
        now, sizes = time.monotonic(), {}
        for key, remembered in list(self._series.items()):
            found = remembered.found
            if not found.done() or found.cancelled() or found.exception() is not None:
                continue
            if remembered.until < now:
                del self._series[key]
            else:
                sizes[key] = len(found.result())
        total = sum(sizes.values())
        for key in list(sizes)[:-1]:
            if total <= _REMEMBERED_INSTANCES:
                return
            total -= sizes[key]
            del self._series[key]

    async def _find(self, token: str, series: Target) -> dict[str, Located]:
        found: Sequence[Located] = await self.instances(token, series)
        return {located.target.instance: located for located in found}


@dataclass(frozen=True, slots=True)
class _Remembered:
    until: float
    found: asyncio.Future[dict[str, Located]]


def _bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def _located(message: pb.LocatedInstance) -> Located:
    return Located(
        Target(message.study_instance_uid, message.series_instance_uid, message.sop_instance_uid),
        message.sop_class_uid,
        message.transfer_syntax_uid,
        message.number_of_frames,
        blob_from_proto(message.blob),
        message.study_id,
        message.series_id,
    )
