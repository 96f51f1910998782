"""A browser's calls: the token comes in a cookie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from services.runtime.client import ServiceCallError, typed_errors
from tests.support.mesh import RunningServer, running_server
from tests.support.tested_service import (
    KINDS,
    PERMISSION,
    TestedService,
    answers,
    nothing,
    start_call,
)


def serving(folder: Path) -> Any:
    service = TestedService(nothing)
    return running_server(folder, lambda server: service.add_to(server))


async def code(running: RunningServer, kind: str, *metadata: tuple[str, str]) -> str:
    call = start_call(running.bearer_channel(None), kind, metadata=metadata)
    try:
        with typed_errors():
            await answers(call)
    except ServiceCallError as error:
        return error.code.name
    return "OK"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_token_in_the_cookie_permits_what_it_would_as_a_bearer(
    tmp_path: Path, kind: str
) -> None:
    async with serving(tmp_path) as running:
        token = running.tokens.mint(PERMISSION, subject="anna")

        assert await code(running, kind, ("cookie", f"a=b; heimdallr_session={token}")) == "OK"
        assert running.trail.entries[0].subject == "anna"


async def test_a_bearer_is_never_looked_past(tmp_path: Path) -> None:
    async with serving(tmp_path) as running:
        token = running.tokens.mint(PERMISSION)
        good = ("cookie", f"heimdallr_session={token}")

        for wrong in ("Bearer wrong", "Basic YTpi", ""):
            found = await code(running, "UnaryUnary", good, ("authorization", wrong))
            assert found == grpc.StatusCode.UNAUTHENTICATED.name
        right = ("authorization", f"Bearer {token}")
        spoilt = ("cookie", "heimdallr_session=wrong")
        assert await code(running, "UnaryUnary", spoilt, right) == "OK"


@pytest.mark.parametrize(
    "cookies",
    [
        ["other=1"],
        ["heimdallr_session="],
        ["heimdallr_session=wrong"],
        ["heimdallr_session={token}; heimdallr_session=other"],
        ["heimdallr_session={token}", "heimdallr_session=other"],
        ['heimdallr_session="{token}"'],
    ],
)
async def test_a_malformed_cookie_is_unauthenticated(tmp_path: Path, cookies: list[str]) -> None:
    async with serving(tmp_path) as running:
        token = running.tokens.mint(PERMISSION)
        metadata = [("cookie", cookie.format(token=token)) for cookie in cookies]

        found = await code(running, "UnaryUnary", *metadata)

        assert found == grpc.StatusCode.UNAUTHENTICATED.name
