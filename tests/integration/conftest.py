"""One stack for the tests that only look, and send, and look again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from services.runtime.client import MeshChannel
from tests.support.dcmtk import require_dcmtk
from tests.support.running_stack import RunningStack
from tests.support.studies import operator_channel


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    with RunningStack() as running:
        yield running


@pytest.fixture
async def channel(stack: RunningStack) -> AsyncIterator[MeshChannel]:
    async with operator_channel(stack) as opened:
        yield opened


@pytest.fixture
def dcmtk() -> None:
    require_dcmtk()
