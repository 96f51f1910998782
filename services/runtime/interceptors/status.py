"""The status a handler has set on its call."""

from __future__ import annotations

from typing import Any, Final

import grpc

_NAMES: Final = {status.value[0]: status.name for status in grpc.StatusCode}


def code_set(context: grpc.aio.ServicerContext[Any, Any]) -> str | None:
    """Return the name of the status code that was set, as by an abort; None when none was."""
    code: object = context.code()
    if isinstance(code, grpc.StatusCode):
        return code.name
    return _NAMES.get(code) if isinstance(code, int) and code else None
