"""Uploads that break off, go on, or find no room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.upload import uploads
from gateway.upload.http import PATH
from gateway.upload.outcome import Outcome
from gateway.upload.spool import Upload
from services.runtime.errors import StorageFullError
from tests.gateway.conftest import Start
from tests.gateway.upload.conftest import BODY, Serve, everything_under
from tests.gateway.upload.made_files import ct


async def test_a_client_that_broke_off_goes_on_where_it_was(serve: Serve) -> None:
    client = await serve()
    data = ct(size=1500)
    address = await client.create(len(data))
    _, writer = await asyncio.open_connection(*client.address)
    head = f"PATCH {address} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n"
    for name, value in (client.headers(Upload_Offset="0") | BODY).items():
        head += f"{name}: {value}\r\n"
    writer.write(head.encode() + b"\r\n" + data[:3_000_000])
    await writer.drain()
    while not (await client.document(address))["offset"]:  # noqa: ASYNC110 -- until some came
        await asyncio.sleep(0.01)
    writer.close()

    offset = await client.offset(address)
    status, reached = await client.append(address, offset, data[offset:][: 1 << 20])
    while reached < len(data):
        status, reached = await client.append(address, reached, data[reached:][: 1 << 20])

    assert 0 < offset <= 3_000_000
    assert (status, reached) == (204, len(data))
    assert (await client.done(address))["stored"] == 1


async def test_a_second_writer_takes_over_from_one_that_hangs(serve: Serve) -> None:
    client = await serve()
    data = ct(size=256)
    address = await client.create(len(data))
    never = asyncio.Event()

    async def stuck() -> None:
        async def body() -> AsyncIterator[bytes]:
            yield data[:1000]
            await never.wait()

        headers = client.headers(Upload_Offset="0") | BODY
        async with client.session.patch(address, data=body(), headers=headers):
            pass

    hanging = asyncio.create_task(stuck())
    await asyncio.sleep(0.2)
    offset = await client.offset(address)
    status, _ = await client.append(address, offset, data[offset:])

    assert status == 204
    assert (await client.done(address))["stored"] == 1
    hanging.cancel()
    await asyncio.wait([hanging])


async def test_uploads_outlive_the_gateway(serve: Serve, start_gateway: Start) -> None:
    first = await serve()
    data = ct(size=256)
    address = await first.create(len(data))
    await first.append(address, 0, data[:1000])

    second = await serve(first.gateway)
    second.token = first.token

    assert await second.offset(address) == 1000
    status, _ = await second.append(address, 1000, data[1000:])
    assert status == 204
    assert (await second.done(address))["stored"] == 1


async def test_what_was_not_flushed_when_the_machine_went_down_is_not_believed(
    serve: Serve,
) -> None:
    first = await serve()
    address = await first.create(5000)
    await first.append(address, 0, bytes(2000))
    folder = first.folder / address.rpartition("/")[2]
    about = (folder / "upload.json").read_text()
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (folder / "upload.json").write_text(about.replace(boot_id, "another"))
    with (folder / "data").open("ab") as file:
        file.write(bytes(500))

    second = await serve(first.gateway)

    assert await second.offset(address) == 2000


async def test_a_body_that_stops_is_cut_off_and_what_came_is_kept(serve: Serve) -> None:
    client = await serve(idle_timeout_s=0.3)
    address = await client.create(1000)

    async def body() -> AsyncIterator[bytes]:
        yield bytes(100)
        await asyncio.sleep(5)

    headers = client.headers(Upload_Offset="0") | BODY
    async with client.session.patch(address, data=body(), headers=headers) as answer:
        assert answer.status == 408

    assert await client.offset(address) == 100


async def test_room_that_is_not_there_is_not_promised(serve: Serve) -> None:
    client = await serve(free_bytes=1 << 62)

    async with client.session.post(PATH, headers=client.headers(Upload_Length="10")) as answer:
        assert answer.status == 507


async def test_while_the_coordinator_is_away_uploads_are_kept(
    serve: Serve, start_gateway: Start
) -> None:
    client = await serve(await start_gateway(online=False))

    document = await client.upload(ct())

    assert (document["journaled"], document["stored"]) == (1, 0)


async def test_a_full_disk_holds_an_upload_up_and_no_longer(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await serve()
    monkeypatch.setattr(uploads, "_AGAIN_S", 0.05)
    note, full = client.spool.note, 1

    def noted(upload: Upload, outcome: Outcome) -> None:
        nonlocal full
        if full:
            full -= 1
            raise StorageFullError
        note(upload, outcome)

    monkeypatch.setattr(client.spool, "note", noted)

    document = await client.upload(ct())

    assert (document["stored"] + document["duplicates"], document["failure"]) == (1, "")
    assert len(client.gateway.intake.rows) == 1


async def test_what_stands_still_is_forgotten(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_SWEEP_S", 0.05)
    client = await serve(expire_after_s=0.2, outcome_kept_count=1)
    address = await client.create(10)
    first = await client.upload(ct(1))
    last = await client.upload(ct(2))

    async with asyncio.timeout(10):
        while len(client.spool.uploads()) > 1:  # noqa: ASYNC110 -- until the sweep came by
            await asyncio.sleep(0.05)

    assert [upload.upload_id for upload in client.spool.uploads()] == [last["upload_id"]]
    assert first["upload_id"] not in everything_under(client.folder)
    async with client.session.head(address, headers=client.headers()) as answer:
        assert answer.status == 404
