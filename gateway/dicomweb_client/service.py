"""gRPC adapter of DICOMweb towards peers."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc

from gateway.dicomweb_client.client import DicomWebClient
from gateway.dicomweb_client.messages import (
    counted_to_proto,
    retrieved_to_proto,
    search_from_proto,
    sent_to_proto,
)
from gateway.dicomweb_client.retrieve import Resource, Retrieved
from gateway.dicomweb_client.verify import Counted
from gateway.peers.batches import batches
from gateway.peers.directory import PeerDirectory
from gateway.peers.evidence import FetchedEvidence
from gateway.peers.outcome import Sent
from gateway.peers.peer import Peer
from gateway.peers.release import Preparing
from gateway.peers.selection import Selection
from gateway.peers.testing import assess
from gateway.scu.find import Truncated
from gateway.scu.sending import Total
from heimdallr.dicomweb.v1 import dicomweb_client_service_pb2 as pb
from heimdallr.dicomweb.v1 import dicomweb_client_service_pb2_grpc as pb_grpc
from heimdallr.peers.v1.peers_service_pb2 import ResolvePeerRequest

Context = grpc.aio.ServicerContext[Any, Any]
_NamesPeer = (
    pb.TestPeerRequest
    | pb.SearchMatchesRequest
    | pb.StoreInstancesRequest
    | pb.RetrieveInstancesRequest
)


class DicomWebClientService(pb_grpc.DicomWebClientServiceServicer):
    """Serves ``heimdallr.dicomweb.v1.DicomWebClientService``.

    Args:
        directory: Finds peers.
        client: Speaks to them.
        evidence: Is told of studies that were fetched whole.
    """

    def __init__(
        self, directory: PeerDirectory, client: DicomWebClient, evidence: FetchedEvidence
    ) -> None:
        self._evidence = evidence
        self._directory = directory
        self._client = client

    async def TestPeer(self, request: pb.TestPeerRequest, context: Context) -> pb.TestPeerResponse:
        """See ``dicomweb_client_service.proto``."""
        peer = await self._peer(request)
        outcome = await assess(
            self._directory, peer, "dicomweb", self._client.test, "the peer answers QIDO-RS"
        )
        return pb.TestPeerResponse(
            succeeded=outcome.succeeded, text=outcome.text, duration_ms=outcome.duration_ms
        )

    async def SearchMatches(
        self, request: pb.SearchMatchesRequest, context: Context
    ) -> AsyncGenerator[pb.SearchMatchesResponse, None]:
        """See ``dicomweb_client_service.proto``."""
        wanted = search_from_proto(request)
        searching = self._client.search(await self._peer(request), wanted)
        async with aclosing(searching) as found, aclosing(batches(found)) as parts:
            async for part in parts:
                matches = [match for match in part if not isinstance(match, Truncated)]
                yield pb.SearchMatchesResponse(
                    matches=[json.dumps(match, ensure_ascii=False) for match in matches],
                    truncated=isinstance(part[-1], Truncated),
                )

    async def StoreInstances(
        self, request: pb.StoreInstancesRequest, context: Context
    ) -> AsyncGenerator[pb.StoreInstancesResponse, None]:
        """See ``dicomweb_client_service.proto``."""
        peer = await self._peer(request)
        selection = Selection(
            tuple(request.study_instance_uids),
            tuple(request.series_instance_uids),
            tuple(request.sop_instance_uids),
        )
        storing = self._client.store(
            peer,
            selection,
            counted=request.verify_count,
            released_only=request.released_only,
        )
        progress = pb.StoreInstancesResponse()
        async with aclosing(storing) as results, aclosing(batches(results)) as parts:
            async for part in parts:
                _note(progress, part)
                yield progress
                del progress.instances[:]

    async def RetrieveInstances(
        self, request: pb.RetrieveInstancesRequest, context: Context
    ) -> AsyncGenerator[pb.RetrieveInstancesResponse, None]:
        """See ``dicomweb_client_service.proto``."""
        resource = Resource(
            request.study_instance_uid, request.series_instance_uid, request.sop_instance_uid
        )
        peer = await self._peer(request)
        retrieving = self._client.retrieve(peer, resource)
        last: Retrieved | None = None
        async with aclosing(retrieving) as results, aclosing(batches(results)) as parts:
            async for part in parts:
                last = part[-1]
                yield retrieved_to_proto(last)
        if last is not None and not last.failed and not resource.series_instance_uid:
            count = last.stored + last.known
            await self._evidence.confirm(peer, resource.study_instance_uid, count)

    async def _peer(self, request: _NamesPeer) -> Peer:
        key = request.WhichOneof("peer")
        wanted = ResolvePeerRequest()
        if key is not None:
            setattr(wanted, key, getattr(request, key))
        return await self._directory.find(wanted)


def _note(
    progress: pb.StoreInstancesResponse, part: list[Preparing | Total | Sent | Counted]
) -> None:
    for item in part:
        if isinstance(item, Preparing):
            progress.deidentified_count = item.deidentified
            progress.held_count = item.held
        elif isinstance(item, Total):
            progress.total_count = item.count
        elif isinstance(item, Counted):
            progress.count.CopyFrom(counted_to_proto(item))
        else:
            progress.stored_count += item.arrived
            progress.failed_count += not item.arrived
            progress.instances.append(sent_to_proto(item))
