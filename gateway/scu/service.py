"""gRPC adapter of DIMSE towards peers."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc

from gateway.peers.batches import batches
from gateway.peers.directory import PeerDirectory
from gateway.peers.evidence import FetchedEvidence
from gateway.peers.outcome import Sent
from gateway.peers.peer import Peer, Recipient
from gateway.peers.release import Preparing
from gateway.peers.selection import Selection
from gateway.peers.testing import assess
from gateway.scu.client import DimseClient, Fetched
from gateway.scu.find import Truncated
from gateway.scu.get import MAX_SOP_CLASSES
from gateway.scu.identifier import Level
from gateway.scu.messages import (
    fetched_to_proto,
    model_from_proto,
    move_to_proto,
    query_from_proto,
    retrieve_keys_from_proto,
    sent_to_proto,
    verification_from_proto,
    verified_to_proto,
)
from gateway.scu.sending import Sending, Total
from gateway.scu.verify import Verified
from heimdallr.dimse.v1 import dimse_service_pb2 as pb
from heimdallr.dimse.v1 import dimse_service_pb2_grpc as pb_grpc
from heimdallr.peers.v1.peers_service_pb2 import ResolvePeerRequest
from services.dicom.uids import valid_uid
from services.runtime.errors import InvalidFieldError

Context = grpc.aio.ServicerContext[Any, Any]
_NamesPeer = (
    pb.EchoPeerRequest
    | pb.StoreInstancesRequest
    | pb.FindMatchesRequest
    | pb.MoveInstancesRequest
    | pb.GetInstancesRequest
)


class DimseService(pb_grpc.DimseServiceServicer):
    """Serves ``heimdallr.dimse.v1.DimseService``.

    Args:
        directory: Finds peers.
        client: Speaks to them.
        sending: Sends what is ours.
        evidence: Is told of studies that were fetched whole.
    """

    def __init__(
        self,
        directory: PeerDirectory,
        client: DimseClient,
        sending: Sending,
        evidence: FetchedEvidence,
    ) -> None:
        self._evidence = evidence
        self._directory = directory
        self._client = client
        self._sending = sending

    async def EchoPeer(self, request: pb.EchoPeerRequest, context: Context) -> pb.EchoPeerResponse:
        """See ``dimse_service.proto``."""
        peer = await self._peer(request)
        outcome = await assess(
            self._directory, peer, "echo", self._client.echo, "the peer answers C-ECHO"
        )
        return pb.EchoPeerResponse(
            succeeded=outcome.succeeded, text=outcome.text, duration_ms=outcome.duration_ms
        )

    async def StoreInstances(
        self, request: pb.StoreInstancesRequest, context: Context
    ) -> AsyncGenerator[pb.StoreInstancesResponse, None]:
        """See ``dimse_service.proto``."""
        peer = await self._peer(request)
        verification = verification_from_proto(request.verification)
        selection = Selection(
            tuple(request.study_instance_uids),
            tuple(request.series_instance_uids),
            tuple(request.sop_instance_uids),
        )
        progress = pb.StoreInstancesResponse()
        sending = self._sending.send(
            peer, selection, verification, released_only=request.released_only
        )
        async with aclosing(sending) as results, aclosing(batches(results)) as parts:
            async for part in parts:
                _note(progress, part)
                yield progress
                del progress.instances[:]

    async def FindMatches(
        self, request: pb.FindMatchesRequest, context: Context
    ) -> AsyncGenerator[pb.FindMatchesResponse, None]:
        """See ``dimse_service.proto``."""
        query = query_from_proto(request)
        peer = await self._peer(request)
        finding = self._client.find(peer, query)
        async with aclosing(finding) as found, aclosing(batches(found)) as parts:
            async for part in parts:
                matches = [match for match in part if not isinstance(match, Truncated)]
                yield pb.FindMatchesResponse(
                    matches=[json.dumps(match, ensure_ascii=False) for match in matches],
                    truncated=isinstance(part[-1], Truncated),
                )

    async def MoveInstances(
        self, request: pb.MoveInstancesRequest, context: Context
    ) -> AsyncGenerator[pb.MoveInstancesResponse, None]:
        """See ``dimse_service.proto``."""
        model, keys = model_from_proto(request.model), retrieve_keys_from_proto(request.keys)
        peer = await self._peer(request)
        destination = None
        if request.destination:
            destination = Recipient(await self._directory.by_name(request.destination))
        async with aclosing(self._client.move(peer, model, keys, destination)) as progress:
            async for item in progress:
                yield move_to_proto(item)

    async def GetInstances(
        self, request: pb.GetInstancesRequest, context: Context
    ) -> AsyncGenerator[pb.GetInstancesResponse, None]:
        """See ``dimse_service.proto``."""
        model, keys = model_from_proto(request.model), retrieve_keys_from_proto(request.keys)
        classes = tuple(request.sop_class_uids)
        if len(classes) > MAX_SOP_CLASSES or not all(map(valid_uid, classes)):
            raise InvalidFieldError("sop_class_uids", f"at most {MAX_SOP_CLASSES} UIDs")
        peer = await self._peer(request)
        item: Fetched | None = None
        async with aclosing(self._client.get(peer, model, keys, classes)) as progress:
            async for item in progress:
                yield fetched_to_proto(item)
        studies = keys.study_instance_uids
        whole = keys.level is Level.STUDY and len(studies) == 1
        if whole and item is not None and item.remaining == item.failed == 0:
            await self._evidence.confirm(peer, studies[0], item.stored + item.known)

    async def _peer(self, request: _NamesPeer) -> Peer:
        key = request.WhichOneof("peer")
        wanted = ResolvePeerRequest()
        if key is not None:
            setattr(wanted, key, getattr(request, key))
        return await self._directory.find(wanted)


def _note(
    progress: pb.StoreInstancesResponse, part: list[Preparing | Total | Sent | Verified]
) -> None:
    for item in part:
        if isinstance(item, Preparing):
            progress.deidentified_count = item.deidentified
            progress.held_count = item.held
        elif isinstance(item, Total):
            progress.total_count = item.count
        elif isinstance(item, Verified):
            progress.verification.CopyFrom(verified_to_proto(item))
        else:
            progress.stored_count += item.arrived
            progress.failed_count += not item.arrived
            progress.instances.append(sent_to_proto(item))
