"""gRPC adapter of the registry of peers."""

from __future__ import annotations

from typing import Any

import grpc

from heimdallr.peers.v1 import peers_service_pb2 as pb
from heimdallr.peers.v1 import peers_service_pb2_grpc as pb_grpc
from services.coordinator.peers.messages import (
    credentials_from_proto,
    credentials_to_proto,
    peer_to_proto,
    spec_from_proto,
    test_from_proto,
)
from services.coordinator.peers.peer import Credentials, PeerSpec
from services.coordinator.peers.rules import check_credentials, check_spec, check_test
from services.coordinator.peers.store import PeerStore
from services.runtime.errors import InvalidFieldError

Context = grpc.aio.ServicerContext[Any, Any]


class PeersService(pb_grpc.PeersServiceServicer):
    """Serves ``heimdallr.peers.v1.PeersService``."""

    def __init__(self, store: PeerStore) -> None:
        self._store = store

    async def ListPeers(
        self, request: pb.ListPeersRequest, context: Context
    ) -> pb.ListPeersResponse:
        """See ``peers_service.proto``."""
        return pb.ListPeersResponse(peers=map(peer_to_proto, await self._store.peers()))

    async def GetPeer(self, request: pb.GetPeerRequest, context: Context) -> pb.GetPeerResponse:
        """See ``peers_service.proto``."""
        peer = await self._store.peer(*_key(request))
        return pb.GetPeerResponse(peer=peer_to_proto(peer))

    async def CreatePeer(
        self, request: pb.CreatePeerRequest, context: Context
    ) -> pb.CreatePeerResponse:
        """See ``peers_service.proto``."""
        credentials = _credentials(request) or Credentials()
        peer = await self._store.create(_spec(request.spec), credentials)
        return pb.CreatePeerResponse(peer=peer_to_proto(peer))

    async def UpdatePeer(
        self, request: pb.UpdatePeerRequest, context: Context
    ) -> pb.UpdatePeerResponse:
        """See ``peers_service.proto``."""
        spec, credentials = _spec(request.spec), _credentials(request)
        peer = await self._store.update(request.peer_id, spec, credentials)
        return pb.UpdatePeerResponse(peer=peer_to_proto(peer))

    async def DeletePeer(
        self, request: pb.DeletePeerRequest, context: Context
    ) -> pb.DeletePeerResponse:
        """See ``peers_service.proto``."""
        await self._store.delete(request.peer_id)
        return pb.DeletePeerResponse()

    async def ResolvePeer(
        self, request: pb.ResolvePeerRequest, context: Context
    ) -> pb.ResolvePeerResponse:
        """See ``peers_service.proto``."""
        peer, credentials = await self._store.resolve(*_key(request))
        return pb.ResolvePeerResponse(
            peer=peer_to_proto(peer), credentials=credentials_to_proto(credentials)
        )

    async def RecordPeerTest(
        self, request: pb.RecordPeerTestRequest, context: Context
    ) -> pb.RecordPeerTestResponse:
        """See ``peers_service.proto``."""
        test = test_from_proto(request.test)
        check_test(test)
        await self._store.record_test(request.peer_id, test)
        return pb.RecordPeerTestResponse()


def _spec(message: pb.PeerSpec) -> PeerSpec:
    spec = spec_from_proto(message)
    check_spec(spec)
    return spec


def _credentials(request: pb.CreatePeerRequest | pb.UpdatePeerRequest) -> Credentials | None:
    if not request.HasField("credentials"):
        return None
    credentials = credentials_from_proto(request.credentials)
    check_credentials(credentials)
    return credentials


def _key(request: pb.GetPeerRequest | pb.ResolvePeerRequest) -> tuple[str, str]:
    key = request.WhichOneof("peer")
    if key is None:
        raise InvalidFieldError("peer", "one of its names")
    value: str = getattr(request, key)
    if "\0" in value:
        raise InvalidFieldError(key, "no NUL")
    return key, value
