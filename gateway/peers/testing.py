"""Tests of peers: done, timed, kept with the peer, told in a sentence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from gateway.peers.directory import PeerDirectory
from gateway.peers.errors import PeerRefusedError, PeerUnreachableError
from gateway.peers.peer import Peer

_LONGEST_S: Final = 15.0
"""Whoever asked for a test waits half a minute."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The outcome of a test.

    Attributes:
        succeeded: Whether the peer answered as it should.
        text: One sentence that says what happened.
        duration_ms: How long it took.
    """

    succeeded: bool
    text: str
    duration_ms: int


async def assess(
    directory: PeerDirectory,
    peer: Peer,
    kind: str,
    test: Callable[[Peer], Awaitable[None]],
    success: str,
) -> Assessment:
    """Test a peer and keep the outcome; that it does not answer is an outcome.

    Args:
        directory: Keeps it.
        peer: The peer.
        kind: "echo" or "dicomweb".
        test: Returns when all is well.
        success: What is said then.

    Raises:
        InvalidFieldError, LimitExceededError, DependencyUnavailableError: Nothing was tested, or
            the outcome cannot be kept.
    """
    begin = time.monotonic()
    succeeded, text = True, success
    try:
        async with asyncio.timeout(_LONGEST_S):
            await test(peer)
    except (PeerUnreachableError, PeerRefusedError) as error:
        succeeded, text = False, error.message
    except TimeoutError:
        succeeded, text = False, "the peer cannot be reached: it is silent"
    duration_ms = round(1000 * (time.monotonic() - begin))
    await directory.record_test(peer, kind, succeeded=succeeded, text=text, duration_ms=duration_ms)
    return Assessment(succeeded, text, duration_ms)
