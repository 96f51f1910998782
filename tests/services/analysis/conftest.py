"""Fixtures of the analysis service."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.analysis.triton import TritonClient
from tests.support.triton import RunningTriton
from tests.support.triton import triton_server as triton_server


@pytest.fixture
async def triton(triton_server: RunningTriton) -> AsyncIterator[TritonClient]:
    client = TritonClient(triton_server.address)
    yield client
    await client.close()
