"""What is tried of each kind of source, without fetching anything."""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.peers.directory import PeerDirectory
from gateway.sources.orthanc_client import NotThereError, orthanc
from gateway.sources.settings import SourceSettings
from gateway.sources.watch_folder import WatchedFolders, waiting_count
from gateway.sources.work import SourceError
from heimdallr.dicomweb.v1 import dicomweb_client_service_pb2 as web_pb
from heimdallr.dicomweb.v1 import dicomweb_client_service_pb2_grpc as web_grpc
from heimdallr.dimse.v1 import dimse_service_pb2 as dimse_pb
from heimdallr.dimse.v1 import dimse_service_pb2_grpc as dimse_grpc
from heimdallr.sources.v1 import sources_service_pb2 as pb
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import InvalidFieldError, PeerNotFoundError, ServiceError

_MOST_COUNTED: Final = 1000
_AWAY: Final = "A part of the system cannot be reached."


class SourceTests:
    """Looks at sources without fetching anything.

    Args:
        folders: Folders of this machine.
        directory: Where peers are registered.
        web: Who speaks DICOMweb to peers.
        dimse: Who speaks DIMSE to peers.
        settings: Bounds.
    """

    def __init__(
        self,
        folders: WatchedFolders,
        directory: PeerDirectory,
        web: web_grpc.DicomWebClientServiceAsyncStub,
        dimse: dimse_grpc.DimseServiceAsyncStub,
        settings: SourceSettings,
    ) -> None:
        self._folders = folders
        self._directory = directory
        self._web = web
        self._dimse = dimse
        self._settings = settings

    async def run(self, spec: pb.SourceSpec) -> tuple[bool, str]:
        """Return whether a source can be fetched from, and a sentence about it.

        Raises:
            InvalidFieldError: It is of no kind.
            PeerNotFoundError: Its peer is not registered.
        """
        kind = spec.WhichOneof("kind")
        try:
            if kind == "watch_folder":
                return await self._folder(spec.watch_folder.path)
            if kind == "orthanc":
                return await self._orthanc(spec.orthanc)
            if kind == "qido":
                return await self._qido(spec.qido.peer_id)
            if kind == "dimse":
                return await self._echo(spec.dimse.peer_id)
        except SourceError as error:
            return False, error.sentence
        except ServiceCallError as error:
            if error.reason == "ERROR_REASON_PEER_NOT_FOUND":
                raise PeerNotFoundError(error.metadata.get("peer", "")) from None
            return False, error.text if error.reason else _AWAY
        except (PeerNotFoundError, InvalidFieldError):
            raise
        except ServiceError as error:
            return False, error.message
        raise InvalidFieldError("spec.kind", "one of the kinds")

    async def _folder(self, path: str) -> tuple[bool, str]:
        folder = await asyncio.to_thread(self._folders.folder, path)
        count = await asyncio.to_thread(waiting_count, folder, _MOST_COUNTED)
        return True, f"The folder can be read and written; {count} files wait in it."

    async def _orthanc(self, spec: pb.Orthanc) -> tuple[bool, str]:
        peer = await self._directory.by_id(spec.peer_id)
        try:
            async with orthanc(peer, spec.rest_path, self._settings) as client:
                version, count = await client.version(), await client.study_count()
        except NotThereError:
            raise SourceError("what answers there is no Orthanc") from None
        return True, f"Orthanc {version} answers; it has {count} studies."

    async def _qido(self, peer_id: str) -> tuple[bool, str]:
        with typed_errors():
            answer = await self._web.TestPeer(web_pb.TestPeerRequest(peer_id=peer_id))
        return answer.succeeded, answer.text

    async def _echo(self, peer_id: str) -> tuple[bool, str]:
        with typed_errors():
            answer = await self._dimse.EchoPeer(dimse_pb.EchoPeerRequest(peer_id=peer_id))
        return answer.succeeded, answer.text
