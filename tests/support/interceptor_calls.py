"""Servers and calls for the tests of interceptors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.runtime.client import ServiceCallError, typed_errors
from tests.support.mesh import RunningServer, running_server
from tests.support.tested_service import (
    KINDS,
    PERMISSION,
    Behaviour,
    TestedService,
    answers,
    start_call,
)

every_kind = pytest.mark.parametrize("kind", KINDS)
SHA256 = "0" * 64
CANARY = "DOE^JOHN"


def serving(folder: Path, behaviour: Behaviour, **changes: Any) -> Any:
    service = TestedService(behaviour)
    return running_server(folder, lambda server: service.add_to(server), **changes)


async def failing_call(running: RunningServer, kind: str, **options: Any) -> ServiceCallError:
    channel = running.channel(PERMISSION)
    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await answers(start_call(channel, kind, **options))
    return caught.value


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
