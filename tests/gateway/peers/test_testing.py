"""Tests of peers end in time and leave their outcome."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.peers import testing
from gateway.peers.errors import PeerRefusedError
from gateway.peers.peer import Peer
from gateway.peers.testing import assess

PEER = Peer("id", "peer", inside=True)


class Directory:
    """Remembers what it is told to keep."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, bool, str]] = []

    async def record_test(
        self, _peer: Peer, kind: str, *, succeeded: bool, text: str, duration_ms: int
    ) -> None:
        assert duration_ms >= 0
        self.kept.append((kind, succeeded, text))


@pytest.fixture
def directory() -> Any:
    return Directory()


async def test_success_is_kept_with_its_words(directory: Any) -> None:
    async def good(_peer: Peer) -> None:
        return

    outcome = await assess(directory, PEER, "echo", good, "it answers")

    assert (outcome.succeeded, outcome.text) == (True, "it answers")
    assert directory.kept == [("echo", True, "it answers")]


async def test_a_refusal_is_an_outcome(directory: Any) -> None:
    async def refusing(_peer: Peer) -> None:
        raise PeerRefusedError("peer", "0122", "C-ECHO")

    outcome = await assess(directory, PEER, "echo", refusing, "it answers")

    assert not outcome.succeeded
    assert "C-ECHO" in outcome.text
    assert directory.kept == [("echo", False, outcome.text)]


async def test_silence_ends_in_time(directory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing, "_LONGEST_S", 0.05)

    async def silent(_peer: Peer) -> None:
        await asyncio.Event().wait()

    outcome = await assess(directory, PEER, "dicomweb", silent, "it answers")

    assert not outcome.succeeded
    assert "silent" in outcome.text
