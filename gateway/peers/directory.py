"""Finds registered peers, and keeps with them how tests went."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.peers.peer import Credentials, DimseAddress, Peer, WebAddress
from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from heimdallr.peers.v1 import peers_service_pb2 as pb
from heimdallr.peers.v1 import peers_service_pb2_grpc as pb_grpc
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import (
    DependencyUnavailableError,
    InvalidFieldError,
    PeerNotFoundError,
)

_NOT_FOUND = ErrorReason.Name(ErrorReason.ERROR_REASON_PEER_NOT_FOUND)
_MAX_TEXT = 300


class PeerDirectory:
    """Looks peers up in the registry, with their credentials.

    Args:
        stub: The registry's service.
    """

    def __init__(self, stub: pb_grpc.PeersServiceAsyncStub) -> None:
        self._stub = stub

    async def by_id(self, peer_id: str) -> Peer:
        """Return a peer by our id of it; see `find`."""
        return await self.find(pb.ResolvePeerRequest(peer_id=peer_id))

    async def by_name(self, name: str) -> Peer:
        """Return a peer by its name; see `find`."""
        return await self.find(pb.ResolvePeerRequest(name=name))

    async def find(self, request: pb.ResolvePeerRequest) -> Peer:
        """Return a peer.

        Raises:
            PeerNotFoundError: Nobody registered it.
            InvalidFieldError: The request names none.
            DependencyUnavailableError: The registry cannot be asked now.
        """
        key = request.WhichOneof("peer")
        if key is None:
            raise InvalidFieldError("peer", "one of its names")
        try:
            with typed_errors():
                return _peer(await self._stub.ResolvePeer(request))
        except ServiceCallError as error:
            if error.reason == _NOT_FOUND:
                raise PeerNotFoundError(getattr(request, key)) from None
            raise DependencyUnavailableError("peers") from None

    async def record_test(
        self, peer: Peer, kind: str, *, succeeded: bool, text: str, duration_ms: int
    ) -> None:
        """Keep the outcome of a test with a peer; one that was forgotten meanwhile needs none.

        Raises:
            DependencyUnavailableError: The registry cannot be asked now.
        """
        test = pb.PeerTest(
            kind=kind, succeeded=succeeded, text=text[:_MAX_TEXT], duration_ms=duration_ms
        )
        test.time.FromDatetime(datetime.now(UTC))
        try:
            with typed_errors():
                request = pb.RecordPeerTestRequest(peer_id=peer.peer_id, test=test)
                await self._stub.RecordPeerTest(request)
        except ServiceCallError as error:
            if error.reason != _NOT_FOUND:
                raise DependencyUnavailableError("peers") from None


def _peer(found: pb.ResolvePeerResponse) -> Peer:
    spec, shown = found.peer.spec, found.credentials
    return Peer(
        peer_id=found.peer.peer_id,
        name=spec.name,
        inside=spec.trust_zone == pb.TRUST_ZONE_INSIDE,
        dimse=_dimse(spec.dimse) if spec.HasField("dimse") else None,
        web=WebAddress(spec.dicomweb.url, spec.dicomweb.tls_ca_pem)
        if spec.HasField("dicomweb")
        else None,
        credentials=Credentials(
            user_name=shown.user_name,
            password=shown.password,
            bearer_token=shown.bearer_token,
            tls_certificate_pem=shown.tls_certificate_pem,
            tls_key_pem=shown.tls_key_pem,
        ),
        move_destination=spec.move_destination,
        deid_project_id=spec.deid_project_id,
    )


def _dimse(address: pb.DimseAddress) -> DimseAddress:
    return DimseAddress(
        ae_title=address.ae_title,
        host=address.host,
        port=address.port,
        calling_ae_title=address.calling_ae_title,
        tls=address.tls,
        tls_ca_pem=address.tls_ca_pem,
        transfer_syntax_uids=tuple(address.transfer_syntax_uids),
    )
