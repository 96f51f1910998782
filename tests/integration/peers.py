"""What tests of exchanges with peers share."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import generate_uid

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.dicomweb.v1.dicomweb_client_service_pb2_grpc import DicomWebClientServiceStub
from heimdallr.dimse.v1.dimse_service_pb2_grpc import DimseServiceStub
from heimdallr.peers.v1 import peers_service_pb2 as peers_pb
from heimdallr.peers.v1.peers_service_pb2_grpc import PeersServiceStub
from services.runtime.client import MeshChannel, ServiceCallError, typed_errors
from tests.support.dcmtk import storescu
from tests.support.instances import ct_instance, part10
from tests.support.running_stack import RunningStack


class Exchange:
    """Registers peers and speaks to them, as the operator."""

    def __init__(self, channel: MeshChannel) -> None:
        self.peers = PeersServiceStub(channel)
        self.dimse = DimseServiceStub(channel)
        self.web = DicomWebClientServiceStub(channel)

    async def register(self, name: str, *, inside: bool = True, **spec: Any) -> peers_pb.Peer:
        """Register a peer, in the place of one of that name."""
        await self.forget(name)
        zone = peers_pb.TRUST_ZONE_INSIDE if inside else peers_pb.TRUST_ZONE_OUTSIDE
        credentials = spec.pop("credentials", peers_pb.PeerCredentials())
        request = peers_pb.CreatePeerRequest(
            spec=peers_pb.PeerSpec(name=name, trust_zone=zone, **spec), credentials=credentials
        )
        peer: peers_pb.Peer = (await self.peers.CreatePeer(request)).peer
        return peer

    async def forget(self, name: str) -> None:
        """Forget the peer of a name, if there is one."""
        for peer in (await self.peers.ListPeers(peers_pb.ListPeersRequest())).peers:
            if peer.spec.name == name:
                await self.peers.DeletePeer(peers_pb.DeletePeerRequest(peer_id=peer.peer_id))


def dimse_address(ae_title: str, port: int, **more: Any) -> peers_pb.DimseAddress:
    """Return where a peer on this machine speaks DIMSE."""
    return peers_pb.DimseAddress(ae_title=ae_title, host="127.0.0.1", port=port, **more)


async def refused(call: Any) -> ServiceCallError:
    """Return how a streamed call fails."""
    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await drained(call)
    return caught.value


async def drained(call: Any) -> list[Any]:
    """Return every answer of a streamed call."""
    return [answer async for answer in call]


def written(folder: Path, count: int = 3, study_uid: str = "") -> tuple[str, list[Path]]:
    """Write a study of small CT images and return its UID and its files."""
    study_uid, series_uid = study_uid or generate_uid(), generate_uid()
    paths = []
    for number in range(1, count + 1):
        image = ct_instance(study_uid=study_uid, series_uid=series_uid, number=number, size=16)
        paths.append(folder / f"{number}.dcm")
        paths[-1].write_bytes(part10(image))
    return study_uid, paths


def sent_to_us(stack: RunningStack, folder: Path, count: int = 3) -> str:
    """Send a study of small images to the stack and return its UID."""
    study_uid, paths = written(folder, count)
    sent = storescu(stack.dicom_port, paths)
    assert sent.returncode == 0, sent.stderr
    return study_uid


ARRIVING = (archive_pb.STUDY_STATE_UNSPECIFIED, archive_pb.STUDY_STATE_RECEIVING)


async def study_of(channel: MeshChannel, study_uid: str) -> archive_pb.Study:
    """Return the study of a UID."""
    request = archive_pb.ListStudiesRequest(study_instance_uid=study_uid)
    [study] = (await ArchiveServiceStub(channel).ListStudies(request)).studies
    return study


async def count_of(channel: MeshChannel, study_uid: str) -> int:
    """Return how many instances of a study are here."""
    return (await study_of(channel, study_uid)).instance_count


async def evidence_of(channel: MeshChannel, study_uid: str) -> archive_pb.Evidence.ValueType:
    """Wait until a study is complete and return how that is known."""
    async with asyncio.timeout(30):
        while True:
            study = await study_of(channel, study_uid)
            if study.state not in ARRIVING:
                return study.evidence
            await asyncio.sleep(0.1)
