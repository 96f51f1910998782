"""What ``heimdallr upload`` does over HTTP, against the gateway's own door."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.cli.upload_memory import UploadMemory
from services.cli.uploading import Uploader, UploadError
from services.cli.zip_stream import Member, ZipStream
from services.runtime.ids import new_id
from tests.gateway.conftest import short_folder, start_gateway
from tests.gateway.upload.conftest import Client, Serve, serve
from tests.support.instances import ct_instance, part10
from tests.support.proxy import FaultyProxy

__all__ = ["serve", "short_folder", "start_gateway"]


@pytest.fixture
def stream(tmp_path: Path) -> ZipStream:
    members = []
    for number in range(1, 7):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(part10(ct_instance(number=number, size=700)))
        members.append(Member(path, path.name, path.stat().st_size))
    return ZipStream(members)


@pytest.fixture
async def client(serve: Serve) -> Client:
    return await serve()


def session(client: Client, **changes: Any) -> aiohttp.ClientSession:
    host, port = client.address
    token = changes.pop("token", client.token)
    return aiohttp.ClientSession(
        f"http://{host}:{changes.pop('port', port)}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=aiohttp.ClientTimeout(sock_read=5),
    )


async def test_a_folder_goes_up_as_one_archive(client: Client, stream: ZipStream) -> None:
    reached: list[int] = []
    async with session(client) as opened:
        uploader = Uploader(opened)
        upload_id = await uploader.begin(stream.size)
        await uploader.send(upload_id, stream, reached.append)
        outcome = await uploader.outcome(upload_id)

    assert (outcome["stored"], outcome["refused_count"]) == (6, 0)
    assert reached[-1] == stream.size
    assert reached == sorted(reached)


async def test_a_connection_that_breaks_again_and_again_loses_nothing(
    client: Client, stream: ZipStream
) -> None:
    host, port = client.address
    reached: list[int] = []
    async with FaultyProxy(port, host) as proxy, session(client, port=proxy.port) as opened:
        uploader = Uploader(opened, pause_s=0.01)
        upload_id = await uploader.begin(stream.size)
        # Each request gets a little further than a megabyte.
        proxy.cut_after_bytes = 1_300_000
        await uploader.send(upload_id, stream, reached.append)
        outcome = await uploader.outcome(upload_id)

    assert outcome["stored"] == 6
    assert any(later < before for before, later in pairwise(reached))


async def test_a_token_that_is_not_accepted_is_told_at_once(client: Client) -> None:
    async with session(client, token="nonsense") as opened:
        with pytest.raises(UploadError, match="token"):
            await Uploader(opened).begin(10)


async def test_a_server_that_is_away_is_told(client: Client) -> None:
    async with session(client, port=9) as opened:
        with pytest.raises(UploadError, match="does not answer"):
            await Uploader(opened, pause_s=0.001).begin(10)


async def test_an_upload_nobody_knows_has_no_offset(client: Client) -> None:
    async with session(client) as opened:
        assert await Uploader(opened).offset(new_id()) is None


def test_what_was_begun_is_remembered_without_names(tmp_path: Path) -> None:
    memory, upload_id = UploadMemory(tmp_path / "deep/uploads.json"), new_id()

    memory.put("http://here /data/DOE^JOHN", upload_id)

    assert (
        UploadMemory(tmp_path / "deep/uploads.json").get("http://here /data/DOE^JOHN") == upload_id
    )
    assert "DOE" not in (tmp_path / "deep/uploads.json").read_text()
    memory.forget("http://here /data/DOE^JOHN")
    assert memory.get("http://here /data/DOE^JOHN") is None


def test_a_memory_that_is_broken_is_none(tmp_path: Path) -> None:
    for text in ("", "[]", "{", '{"a": 7}'):
        (tmp_path / "uploads.json").write_text(text)
        assert UploadMemory(tmp_path / "uploads.json").get("a") is None
