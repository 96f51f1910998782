"""Why the archive refused."""

from __future__ import annotations

import grpc

from services.runtime.client import error_info


def reason(error: grpc.aio.AioRpcError) -> str:
    info = error_info(error)
    return info.reason if info is not None else ""
