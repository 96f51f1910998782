"""DICOMweb put together from its parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from aiohttp import web

from gateway.dicomweb.archive import Archive
from gateway.dicomweb.cache import DiskCache
from gateway.dicomweb.conversion import Conversion
from gateway.dicomweb.files import StoredFiles
from gateway.dicomweb.qido import Qido
from gateway.dicomweb.requests import ROOT, Reader
from gateway.dicomweb.settings import DicomwebSettings
from gateway.dicomweb.stow import Stow
from gateway.dicomweb.wado_bulkdata import BulkdataResource
from gateway.dicomweb.wado_frames import FramesResource
from gateway.dicomweb.wado_instances import InstancesResource
from gateway.dicomweb.wado_metadata import MetadataResource, MetadataSource
from gateway.dicomweb.wado_rendered import RenderedResource
from gateway.file_door import Handover
from gateway.http.permitted import HttpCallers
from gateway.http.problem import not_found
from gateway.part10_intake import Part10Intake
from services.runtime.blobs import BlobStore

CACHE_FOLDER: Final = "dicomweb-cache"
_HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Behind:
    """What DICOMweb stands on.

    Attributes:
        callers: Checks who calls.
        own: Channel that calls as the gateway.
        plain: Channel that sends no token by itself.
        blobs: Where instances are stored.
        intake: Makes files durable.
        handover: Indexes them.
        folder: Where the cache lies unless told otherwise.
    """

    callers: HttpCallers
    own: grpc.aio.Channel
    plain: grpc.aio.Channel
    blobs: BlobStore
    intake: Part10Intake
    handover: Handover
    folder: Path


def open_cache(folder: Path, settings: DicomwebSettings) -> DiskCache:
    """Return the cache.

    Args:
        folder: Where it lies unless told otherwise.
        settings: Its bounds.
    """
    place = settings.cache_folder or folder / CACHE_FOLDER
    return DiskCache(place, settings.cache_bytes, settings.cache_hours * _HOUR_S)


def dicomweb_routes(
    behind: Behind, settings: DicomwebSettings, cache: DiskCache | None = None
) -> list[web.RouteDef]:
    """Return which method of which address goes where."""
    cache = cache or open_cache(behind.folder, settings)
    reader, archive = Reader(behind.callers), Archive(behind.plain, settings.locate_s)
    files, conversion = StoredFiles(behind.blobs), Conversion(behind.own)
    metadata = MetadataSource(behind.own, behind.blobs, files)
    return [
        *Stow(behind.callers, behind.intake, behind.handover, settings).routes(),
        *Qido(reader, archive, settings.max_results).routes(),
        *MetadataResource(reader, archive, metadata, cache).routes(),
        *InstancesResource(reader, archive, files, conversion).routes(),
        *FramesResource(reader, archive, files, conversion, settings.max_frames).routes(),
        *BulkdataResource(reader, archive, files).routes(),
        *RenderedResource(reader, archive, conversion, cache).routes(),
        # The page answers every other path; no viewer may take it for DICOM.
        web.get(ROOT + "{rest:(/.*)?}", _nothing),
    ]


async def _nothing(_request: web.Request) -> web.StreamResponse:
    raise not_found()
