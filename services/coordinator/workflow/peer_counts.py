"""Asks registered peers for counts, through a gateway: C-FIND, or QIDO-RS."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc

from heimdallr.dicomweb.v1 import dicomweb_client_service_pb2 as web_pb
from heimdallr.dicomweb.v1 import dicomweb_client_service_pb2_grpc as web_grpc
from heimdallr.dimse.v1 import dimse_service_pb2 as dimse_pb
from heimdallr.dimse.v1 import dimse_service_pb2_grpc as dimse_grpc
from services.runtime.client import ServiceCallError, typed_errors

_STUDY: Final = "StudyInstanceUID"
_COUNT: Final = "NumberOfStudyRelatedInstances"
_STUDY_TAG: Final = "0020000D"
_COUNT_TAG: Final = "00201208"
_MOST: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class AskedPeer:
    """A peer of trust zone inside.

    Attributes:
        peer_id: Our id of it.
        name: Name that people use.
        dimse: Whether it speaks DIMSE.
        dicomweb: Whether it speaks DICOMweb.
    """

    peer_id: str
    name: str
    dimse: bool
    dicomweb: bool


FindPeer = Callable[[str], Awaitable[AskedPeer | None]]
"""Returns the one peer inside that has an AE title."""


class PeerCounts:
    """A ``CountSource`` over the gateway's services.

    Args:
        mesh: Channel to the gateway.
        find_peer: Looks peers up.
    """

    def __init__(self, mesh: grpc.aio.Channel, find_peer: FindPeer) -> None:
        self._dimse = dimse_grpc.DimseServiceStub(mesh)
        self._web = web_grpc.DicomWebClientServiceStub(mesh)
        self._find_peer = find_peer

    async def count(self, ae_title: str, study_instance_uid: str) -> tuple[str, int] | None:
        """See ``CountSource``."""
        peer = await self._find_peer(ae_title)
        if peer is None:
            return None
        ask = self._find if peer.dimse else self._search
        try:
            with typed_errors():
                matches = await ask(peer, study_instance_uid)
        except ServiceCallError:
            return None
        counts = [number_of(match, study_instance_uid) for match in matches]
        # A peer that knows nothing of the study has not confirmed anything.
        return (peer.name, max(counts)) if counts and max(counts) > 0 else None

    async def _find(self, peer: AskedPeer, study_instance_uid: str) -> list[str]:
        request = dimse_pb.FindMatchesRequest(
            peer_id=peer.peer_id,
            model=dimse_pb.INFORMATION_MODEL_STUDY_ROOT,
            level=dimse_pb.QUERY_LEVEL_STUDY,
            keys=[
                dimse_pb.Key(keyword=_STUDY, value=study_instance_uid),
                dimse_pb.Key(keyword=_COUNT),
            ],
            limit=1,
        )
        return [one async for answer in self._dimse.FindMatches(request) for one in answer.matches]

    async def _search(self, peer: AskedPeer, study_instance_uid: str) -> list[str]:
        request = web_pb.SearchMatchesRequest(
            peer_id=peer.peer_id,
            level=web_pb.SEARCH_LEVEL_STUDY,
            keys=[web_pb.SearchKey(keyword=_STUDY, value=study_instance_uid)],
            include_fields=[_COUNT],
            limit=1,
        )
        return [one async for answer in self._web.SearchMatches(request) for one in answer.matches]


def number_of(match: str, study_instance_uid: str) -> int:
    """Return Number of Study Related Instances of a match; zero when it does not say.

    Args:
        match: An object of the DICOM JSON Model, from a stranger.
        study_instance_uid: The study that was asked for; another one counts for nothing.
    """
    try:
        found: Any = json.loads(match)
        (uid,) = found[_STUDY_TAG]["Value"]
        number = int(found[_COUNT_TAG]["Value"][0])
    except (ValueError, KeyError, TypeError, IndexError):
        return 0
    return number if uid == study_instance_uid and 0 < number < _MOST else 0
