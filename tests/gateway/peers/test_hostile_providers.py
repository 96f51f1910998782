"""Providers that break rules, send without end, or never answer."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt

from gateway.peers.errors import PeerRefusedError, PeerUnreachableError
from gateway.peers.resolving import addresses
from gateway.scu.find import Query, Truncated
from gateway.scu.identifier import Key, Level, Model, RetrieveKeys
from services.runtime.errors import LimitExceededError
from tests.gateway.peers.conftest import Handed, MakeClient, collected, dimse_peer
from tests.support.instances import CT, ct_instance

VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2"
FIND = Query(Model.STUDY_ROOT, Level.STUDY, [Key("StudyInstanceUID")])
STUDY = RetrieveKeys(Level.STUDY, study_instance_uids=("1.2.3",))


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listen on a port and serve one connection at a time in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        serve(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@contextmanager
def provider(*handlers: Any, get: bool = False) -> Iterator[int]:
    """Run a provider of pynetdicom's."""
    ae = AE(ae_title="PEER")
    ae.add_supported_context(VERIFICATION)
    ae.add_supported_context(f"{STUDY_ROOT}.1")
    if get:
        ae.add_supported_context(f"{STUDY_ROOT}.3")
        ae.add_supported_context(CT, scu_role=True, scp_role=True)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
    assert server is not None
    assert server.socket is not None
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def long_pdu(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(struct.pack(">BxL", 0x02, 0xFFFFFFF0))
    connection.recv(1)


def half_a_pdu(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(struct.pack(">BxL", 0x02, 400) + b"\0" * 10)
    connection.recv(1)


def gone(connection: socket.socket) -> None:
    connection.recv(65536)


@pytest.mark.parametrize("serve", [silent, long_pdu, half_a_pdu, gone])
async def test_a_peer_that_does_not_accept_is_unreachable(
    make_client: MakeClient, serve: Callable[[socket.socket], None]
) -> None:
    client = make_client(associate_timeout_s=1.0, message_timeout_s=1.0)
    with listening(serve) as port, pytest.raises(PeerUnreachableError) as caught:
        await client.echo(dimse_peer(port))

    assert caught.value.metadata["step"] == "associate"


async def test_nobody_there_is_unreachable(make_client: MakeClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(PeerUnreachableError) as caught:
        await make_client().echo(dimse_peer(port))

    assert caught.value.metadata == {"peer": "peer", "step": "connect"}


async def test_matches_without_end_are_cut_at_the_limit(make_client: MakeClient) -> None:
    sent = 0

    def deaf(event: Any) -> Iterator[tuple[int, Dataset]]:
        nonlocal sent
        while not event.assoc.is_aborted and event.assoc.is_established:
            sent += 1
            match = Dataset()
            match.StudyInstanceUID = f"1.2.{sent}"
            yield 0xFF00, match

    query = Query(FIND.model, FIND.level, FIND.keys, limit=20)
    with provider((evt.EVT_C_FIND, deaf)) as port:
        found = await collected(make_client().find(dimse_peer(port), query))

    assert len(found) == 21
    assert isinstance(found[-1], Truncated)


async def test_a_match_that_is_too_long_ends_the_query(make_client: MakeClient) -> None:
    def long(_event: Any) -> Iterator[tuple[int, Dataset]]:
        match = Dataset()
        match.StudyInstanceUID = "1.2"
        match.TextValue = "x" * (1 << 20)
        yield 0xFF00, match

    with provider((evt.EVT_C_FIND, long)) as port, pytest.raises(PeerRefusedError) as caught:
        await collected(make_client(max_message_bytes=1 << 16).find(dimse_peer(port), FIND))

    assert "longer than is taken" in caught.value.message


async def test_a_failure_carries_nothing_that_the_peer_said(make_client: MakeClient) -> None:
    def failing(_event: Any) -> Iterator[tuple[Dataset, None]]:
        status = Dataset()
        status.Status = 0xC001
        status.ErrorComment = "DOE^JOHN is unknown"
        yield status, None

    with provider((evt.EVT_C_FIND, failing)) as port, pytest.raises(PeerRefusedError) as caught:
        await collected(make_client().find(dimse_peer(port), FIND))

    assert caught.value.metadata["status"] == "C001"
    assert "DOE" not in f"{caught.value.message} {caught.value.metadata}"


async def test_who_does_not_read_on_ends_the_query(make_client: MakeClient) -> None:
    ended = threading.Event()

    def slow(event: Any) -> Iterator[tuple[int, Dataset]]:
        for number in range(1000):
            match = Dataset()
            match.StudyInstanceUID = f"1.2.{number}"
            yield 0xFF00, match
            time.sleep(0.01)

    handlers = [(evt.EVT_C_FIND, slow), (evt.EVT_CONN_CLOSE, lambda _: ended.set())]
    with provider(*handlers) as port:
        async with aclosing(make_client().find(dimse_peer(port), FIND)) as found:
            await anext(found)

        assert await asyncio.to_thread(ended.wait, 10)


async def test_more_exchanges_than_are_allowed_are_refused(make_client: MakeClient) -> None:
    client = make_client(max_exchanges=1)
    with provider() as port:
        peer = dimse_peer(port)
        with client._turns.one(), pytest.raises(LimitExceededError):
            await client.echo(peer)

        await client.echo(peer)


def held(**values: Any) -> Dataset:
    """Return an instance as a provider has it."""
    dataset = ct_instance(study_uid="1.2.3", **values)
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def instances_of(*numbers: int) -> Callable[[Any], Iterator[Any]]:
    def get(_event: Any) -> Iterator[Any]:
        yield len(numbers)
        for number in numbers:
            yield 0xFF00, held(sop_instance_uid=f"1.2.3.{number}", size=8)

    return get


async def test_what_is_fetched_is_durable_once_and_nothing_is_left(
    make_client: MakeClient, handed: Handed, tmp_path: Path
) -> None:
    with provider((evt.EVT_C_GET, instances_of(1, 2, 2)), get=True) as port:
        peer = dimse_peer(port)
        found = await collected(make_client().get(peer, Model.STUDY_ROOT, STUDY, [CT]))

    assert (found[-1].stored, found[-1].known, found[-1].failed) == (3, 0, 0)
    assert list((tmp_path / "fetching").iterdir()) == []
    assert [(d.released, d.stored_count) for d in handed.departures] == [(True, 3)]
    assert {r.source.door.value for r in handed.received} == {"source"}


async def test_a_fetched_instance_that_is_too_large_ends_the_exchange(
    make_client: MakeClient, handed: Handed, tmp_path: Path
) -> None:
    def get(_event: Any) -> Iterator[Any]:
        yield 1
        yield 0xFF00, held(size=1200)

    client = make_client(max_file_bytes=1 << 20)
    with provider((evt.EVT_C_GET, get), get=True) as port:
        call = client.get(dimse_peer(port), Model.STUDY_ROOT, STUDY, [CT])
        with pytest.raises(PeerRefusedError) as caught:
            await collected(call)

    assert "longer than is taken" in caught.value.message
    assert handed.received == []
    assert list((tmp_path / "fetching").iterdir()) == []


@pytest.mark.parametrize("host", ["169.254.169.254", "fe80::1", "0.0.0.0", "::ffff:169.254.1.1"])  # noqa: S104 -- refused
async def test_where_no_peer_can_be_nobody_is_called(host: str) -> None:
    with pytest.raises(PeerUnreachableError) as caught:
        await addresses("peer", host, 104, 2.0)

    assert caught.value.metadata["step"] == "connect"


async def test_a_name_that_leads_to_a_metadata_address_is_not_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()

    async def lie(*_args: Any, **_named: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 104))]

    monkeypatch.setattr(loop, "getaddrinfo", lie)

    with pytest.raises(PeerUnreachableError):
        await addresses("peer", "pacs.example", 104, 2.0)
