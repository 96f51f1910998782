from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.cli.stack.credentials import Credentials
from services.cli.stack.layout import Layout
from services.runtime.permissions import SERVICE_PERMISSIONS
from services.runtime.tokens import Verifier


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "data").mkdir()
    (tmp_path / "run").mkdir()
    return Layout(tmp_path / "data", tmp_path / "run")


def test_each_process_has_a_token_of_its_own_with_what_it_may_do(layout: Layout) -> None:
    Credentials(layout, ("gateway", "conversion")).write()

    caller = Verifier(layout.jwks).verify(layout.token("gateway").read_text())

    assert caller.subject == "gateway"
    assert caller.permissions == SERVICE_PERMISSIONS["gateway"]
    assert caller.expire_time - datetime.now(UTC) <= timedelta(minutes=15)
    assert layout.token("conversion").read_text() != layout.token("gateway").read_text()


def test_the_owner_of_the_data_has_a_token_too(layout: Layout) -> None:
    Credentials(layout, ()).write()

    caller = Verifier(layout.jwks).verify(layout.token("operator").read_text())

    assert caller.subject == "operator"


def test_key_and_tokens_can_be_read_by_their_owner_alone(layout: Layout) -> None:
    Credentials(layout, ("gateway",)).write()

    for path in (layout.issuer_key, layout.token("gateway")):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_token_of_an_earlier_start_is_still_accepted(layout: Layout) -> None:
    Credentials(layout, ("gateway",)).write()
    token = layout.token("gateway").read_text()

    Credentials(layout, ("gateway",)).write()

    assert Verifier(layout.jwks).verify(token).subject == "gateway"


async def test_tokens_are_written_anew_before_they_expire(layout: Layout) -> None:
    credentials = Credentials(layout, ("gateway",))
    credentials.write()
    first = layout.token("gateway").read_text()

    task = asyncio.create_task(credentials.renew(timedelta(seconds=0.05)))
    async with asyncio.timeout(5):
        while layout.token("gateway").read_text() == first:  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert Verifier(layout.jwks).verify(layout.token("gateway").read_text()).subject == "gateway"


async def test_a_renewal_that_fails_is_tried_again(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = Credentials(layout, ("gateway",))
    failures = [OSError(28, "no room"), OSError(28, "no room")]
    written = asyncio.Event()

    def write() -> None:
        if failures:
            raise failures.pop()
        written.set()

    monkeypatch.setattr(credentials, "write", write)
    soon = timedelta(milliseconds=5)
    task = asyncio.create_task(credentials.renew(soon, soon))

    await asyncio.wait_for(written.wait(), 5)

    assert not task.done()
    task.cancel()
