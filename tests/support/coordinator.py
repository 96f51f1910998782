"""The coordinator's archive and registry of peers for gateway tests, over real contracts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
from grpc_status.rpc_status import to_status
from pydicom import dcmread
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID

from heimdallr.access.v1 import access_service_pb2 as access_pb
from heimdallr.access.v1 import access_service_pb2_grpc as access_grpc
from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1 import archive_service_pb2_grpc as archive_grpc
from heimdallr.audit.v1 import audit_service_pb2 as audit_pb
from heimdallr.audit.v1 import audit_service_pb2_grpc as audit_grpc
from heimdallr.conversion.v1 import conversion_service_pb2 as conversion_pb
from heimdallr.conversion.v1 import conversion_service_pb2_grpc as conversion_grpc
from heimdallr.peers.v1 import peers_service_pb2 as peers_pb
from heimdallr.peers.v1 import peers_service_pb2_grpc as peers_grpc
from services.coordinator.audit.messages import checked_entry, checked_outcome
from services.runtime.errors import PeerNotFoundError
from tests.support.certificates import Identity

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass
class ArchiveDouble(archive_grpc.ArchiveServiceServicer):
    """Answers every query with the same rows.

    Attributes:
        batches: What a query finds, batch by batch.
        located: What is found by any UID.
        queries: Queries that were asked.
        sent: Batches that were taken from the last query.
        ended: Queries that ended, in full or not.
        failure: Code that queries fail with, when set.
    """

    batches: list[list[archive_pb.QueryRow]] = field(default_factory=list)
    located: list[archive_pb.LocatedInstance] = field(default_factory=list)
    queries: list[archive_pb.QueryRequest] = field(default_factory=list)
    lookups: list[archive_pb.LocateInstancesRequest] = field(default_factory=list)
    sent: int = 0
    ended: int = 0
    failure: grpc.StatusCode | None = None

    async def Query(  # noqa: N802 -- name of the contract
        self, request: archive_pb.QueryRequest, context: Context
    ) -> AsyncIterator[archive_pb.QueryResponse]:
        self.queries.append(request)
        self.sent = 0
        if self.failure is not None:
            await context.abort(self.failure, "no")
        try:
            for rows in self.batches:
                yield archive_pb.QueryResponse(rows=rows)
                self.sent += 1
        finally:
            self.ended += 1

    async def LocateInstances(  # noqa: N802 -- name of the contract
        self, request: archive_pb.LocateInstancesRequest, context: Context
    ) -> AsyncIterator[archive_pb.LocateInstancesResponse]:
        self.lookups.append(request)
        if self.failure is not None:
            await context.abort(self.failure, "no")
        yield archive_pb.LocateInstancesResponse(
            instances=[one for one in self.located if _is_asked(request, one)]
        )


def _is_asked(
    request: archive_pb.LocateInstancesRequest, instance: archive_pb.LocatedInstance
) -> bool:
    return (
        instance.sop_instance_uid in (request.sop_instance_uids or [instance.sop_instance_uid])
        and instance.series_instance_uid
        in (request.series_instance_uids or [instance.series_instance_uid])
        and instance.study_instance_uid
        in (request.study_instance_uids or [instance.study_instance_uid])
    )


@dataclass
class PeersDouble(peers_grpc.PeersServiceServicer):
    """Knows the peers it is told of, by AE title."""

    peers: dict[str, peers_pb.Peer] = field(default_factory=dict)
    credentials: dict[str, peers_pb.PeerCredentials] = field(default_factory=dict)

    def add(self, ae_title: str, port: int = 104, **spec: Any) -> None:
        """Register a peer on this machine, inside unless told otherwise."""
        address = peers_pb.DimseAddress(
            ae_title=ae_title, host="127.0.0.1", port=port, **spec.pop("dimse", {})
        )
        whole = {"trust_zone": peers_pb.TRUST_ZONE_INSIDE, "name": ae_title.lower(), **spec}
        self.peers[ae_title] = peers_pb.Peer(
            peer_id=f"00000000-0000-7000-8000-{len(self.peers):012}",
            spec=peers_pb.PeerSpec(dimse=address, **whole),
        )

    def show(self, ae_title: str, identity: Identity) -> None:
        """Keep a certificate of ours for a peer."""
        self.credentials[ae_title] = peers_pb.PeerCredentials(
            tls_certificate_pem=identity.certificate.read_text(),
            tls_key_pem=identity.key.read_text(),
        )

    async def ResolvePeer(  # noqa: N802 -- name of the contract
        self, request: peers_pb.ResolvePeerRequest, context: Context
    ) -> peers_pb.ResolvePeerResponse:
        peer = self.peers.get(request.ae_title)
        if peer is None:
            await context.abort_with_status(
                to_status(PeerNotFoundError(request.ae_title).to_status())
            )
        return peers_pb.ResolvePeerResponse(
            peer=peer, credentials=self.credentials.get(request.ae_title)
        )


@dataclass
class ConversionDouble(conversion_grpc.ConversionServiceServicer):
    """Writes instances in the uncompressed syntaxes alone, with pydicom.

    Attributes:
        blobs: The blob store's folder.
        asked: Transfer syntaxes that were asked for.
    """

    blobs: Path = field(default_factory=Path)
    asked: list[str] = field(default_factory=list)

    async def TranscodeInstance(  # noqa: N802 -- name of the contract
        self, request: conversion_pb.TranscodeInstanceRequest, context: Context
    ) -> AsyncIterator[conversion_pb.TranscodeInstanceResponse]:
        self.asked.append(request.transfer_syntax_uid)
        sha256 = request.blob.sha256
        dataset = dcmread(self.blobs / sha256[:2] / sha256)
        buffer = BytesIO()
        dataset.file_meta.TransferSyntaxUID = UID(request.transfer_syntax_uid)
        implicit = dataset.file_meta.TransferSyntaxUID.is_implicit_VR
        dcmwrite(buffer, dataset, implicit_vr=implicit, little_endian=True)
        data = buffer.getvalue()
        for start in range(0, len(data), 1000):
            yield conversion_pb.TranscodeInstanceResponse(data=data[start : start + 1000])


@dataclass
class AuditDouble(audit_grpc.AuditServiceServicer):
    """Keeps the entries of calls that were denied, and of others by their id, with their end."""

    denied: list[audit_pb.Entry] = field(default_factory=list)
    begun: dict[str, audit_pb.Entry] = field(default_factory=dict)
    ended: dict[str, audit_pb.Outcome] = field(default_factory=dict)

    def outcomes(self) -> list[tuple[str, str, str]]:
        """Return method, subject and code of each call, in order."""
        return [
            (entry.method, entry.subject, self.ended[entry_id].code)
            for entry_id, entry in self.begun.items()
            if entry_id in self.ended
        ]

    async def BeginCall(  # noqa: N802 -- name of the contract
        self, request: audit_pb.BeginCallRequest, context: Context
    ) -> audit_pb.BeginCallResponse:
        checked_entry(request.entry)
        if request.HasField("outcome"):
            checked_outcome(request.outcome)
            self.denied.append(request.entry)
        else:
            self.begun[request.entry.entry_id] = request.entry
        return audit_pb.BeginCallResponse()

    async def EndCall(  # noqa: N802 -- name of the contract
        self, request: audit_pb.EndCallRequest, context: Context
    ) -> audit_pb.EndCallResponse:
        checked_outcome(request.outcome)
        self.ended[request.entry_id] = request.outcome
        return audit_pb.EndCallResponse()


@dataclass
class AccessDouble(access_grpc.AccessServiceServicer):
    """Knows one person.

    Attributes:
        failure: Code that every question fails with, when set.
        asked: Names that were asked for.
    """

    name: str = "radiographer"
    password: str = "a password of theirs"
    failure: grpc.StatusCode | None = None
    asked: list[str] = field(default_factory=list)

    async def SignInWithPassword(  # noqa: N802 -- name of the contract
        self, request: access_pb.SignInWithPasswordRequest, context: Context
    ) -> access_pb.SignInWithPasswordResponse:
        self.asked.append(request.name)
        if self.failure is not None:
            await context.abort(self.failure, "no")
        if (request.name, request.password) != (self.name, self.password):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")
        return access_pb.SignInWithPasswordResponse()


@dataclass
class CoordinatorDouble:
    """The doubles that stand beside the intake's on its server."""

    archive: ArchiveDouble = field(default_factory=ArchiveDouble)
    peers: PeersDouble = field(default_factory=PeersDouble)
    conversion: ConversionDouble = field(default_factory=ConversionDouble)
    audit: AuditDouble = field(default_factory=AuditDouble)
    access: AccessDouble = field(default_factory=AccessDouble)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve them."""
        archive_grpc.add_ArchiveServiceServicer_to_server(self.archive, server)
        peers_grpc.add_PeersServiceServicer_to_server(self.peers, server)
        audit_grpc.add_AuditServiceServicer_to_server(self.audit, server)
        conversion_grpc.add_ConversionServiceServicer_to_server(self.conversion, server)
        access_grpc.add_AccessServiceServicer_to_server(self.access, server)
