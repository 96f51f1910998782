"""The doors for files, put together from their parts: upload, and registered sources."""

from __future__ import annotations

from aiohttp import web

from gateway.file_door import FileDoor
from gateway.gateway import Gateway
from gateway.http.permitted import HttpCallers
from gateway.settings import GatewaySettings
from gateway.upload.http import UploadDoor
from gateway.upload.settings import UploadSettings
from gateway.upload.spool import UploadSpool
from gateway.upload.uploads import Uploads
from services.runtime.server import Background


class Doors:
    """Every way in for files.

    Args:
        gateway: The way behind the doors.
        settings: How the gateway is set.
        upload: Bounds of uploads.
        callers: Who may use the doors over HTTP.

    Attributes:
        routes: What they serve over HTTP.
        background: What runs as long as they are open.
    """

    def __init__(
        self,
        gateway: Gateway,
        settings: GatewaySettings,
        upload: UploadSettings,
        callers: HttpCallers,
    ) -> None:
        door = FileDoor(gateway.part10, gateway.intake)
        spool = UploadSpool(settings.journal_folder / "uploads", upload)
        uploads = Uploads(spool, door, upload)
        self.routes: list[web.AbstractRouteDef] = [
            *UploadDoor(uploads, callers, upload).routes(),
        ]
        self.background: list[Background] = [uploads.run]
