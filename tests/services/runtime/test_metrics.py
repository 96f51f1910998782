"""What a server exports, over a real socket and parsed by Prometheus's own parser."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import grpc
import pytest

from services.runtime import metrics
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import BlobCorruptError
from services.runtime.listening import AddressInUseError
from services.runtime.local_blobs import LocalBlobs
from services.runtime.metrics_endpoint import disk_gathers, exposed
from services.runtime.postgres import Pool, connection, transaction
from tests.support.interceptor_calls import CANARY, every_kind, failing_call, serving
from tests.support.mesh import running_server
from tests.support.scrapes import scrape
from tests.support.tested_service import PERMISSION, answers, nothing, path, start_call


async def corrupt(_context: object) -> None:
    raise BlobCorruptError("0" * 64)


@every_kind
async def test_calls_are_counted_by_method_and_code(tmp_path: Path, kind: str) -> None:
    at = tmp_path / "m.sock"
    async with serving(tmp_path, nothing, metrics_listen=f"unix:{at}") as running:
        before = await scrape(at)
        for _ in range(3):
            await answers(start_call(running.channel(PERMISSION), kind))
        after = await scrape(at)

    served = {"method": path(kind), "code": "OK"}
    for side in ("server", "client"):
        name = f"heimdallr_grpc_{side}_calls_total"
        assert after.value(name, **served) - before.value(name, **served) == 3
    measured = "heimdallr_grpc_server_call_seconds_count"
    expected = 0 if kind.endswith("Stream") else 3
    count = after.value(measured, method=path(kind)) - before.value(measured, method=path(kind))
    assert count == expected
    assert after.value("heimdallr_grpc_server_calls_in_flight", kind="unary") == 0
    assert after.value("heimdallr_grpc_server_calls_in_flight", kind="stream") == 0


async def test_what_alerts_wait_for_is_exported_before_it_happens(tmp_path: Path) -> None:
    at = tmp_path / "m.sock"
    async with serving(tmp_path, nothing, metrics_listen=f"unix:{at}"):
        found = await scrape(at)

    samples = [sample for family in found.families.values() for sample in family.samples]
    seen = {(sample.name, *sorted(sample.labels.values())) for sample in samples}
    for way in ("link", "password"):
        assert ("heimdallr_sign_ins_total", *sorted((way, "refused"))) in seen
    assert ("heimdallr_denials_total", "permission_denied") in seen
    watched = ("heimdallr_grpc_server_calls_total", path("StreamUnary"), "INTERNAL")
    assert (watched[0], *sorted(watched[1:])) in seen


@every_kind
async def test_failures_keep_their_code(tmp_path: Path, kind: str) -> None:
    at = tmp_path / "m.sock"
    failed = {"method": path(kind), "code": "DATA_LOSS"}
    async with serving(tmp_path, corrupt, metrics_listen=f"unix:{at}") as running:
        before = await scrape(at)
        await failing_call(running, kind)
        after = await scrape(at)

    for side in ("server", "client"):
        name = f"heimdallr_grpc_{side}_calls_total"
        assert after.value(name, **failed) - before.value(name, **failed) == 1


async def test_denials_are_counted_by_reason(tmp_path: Path) -> None:
    at = tmp_path / "m.sock"
    async with serving(tmp_path, nothing, metrics_listen=f"unix:{at}") as running:
        before = await scrape(at)
        for channel in (running.bearer_channel("forged"), running.channel()):
            with pytest.raises(ServiceCallError), typed_errors():
                await answers(start_call(channel, "UnaryUnary"))
        after = await scrape(at)

    for reason in ("unauthenticated", "permission_denied"):
        denied = {"reason": reason}
        name = "heimdallr_denials_total"
        assert after.value(name, **denied) - before.value(name, **denied) == 1


async def test_labels_stay_as_they_are_whatever_a_peer_sends(tmp_path: Path) -> None:
    at = tmp_path / "m.sock"
    async with serving(tmp_path, nothing, metrics_listen=f"unix:{at}") as running:
        await answers(start_call(running.channel(PERMISSION), "UnaryUnary"))
        await _unknown_method(running.address, "Warm")
        before = await scrape(at)
        for number in range(200):
            await _unknown_method(running.address, f"{CANARY}{number}")
        after = await scrape(at)

    assert after.labels("method") == before.labels("method")
    assert after.labels("code") == before.labels("code")
    assert CANARY not in str(after.families)


async def _unknown_method(address: str, name: str) -> None:
    metadata = (("x-correlation-id", name), ("user-agent", name), ("authorization", name))
    async with grpc.aio.insecure_channel(address) as channel:
        for method in (f"/heimdallr.archive.v1.ArchiveService/{name}", path(name)):
            with pytest.raises(grpc.aio.AioRpcError):
                await channel.unary_unary(method, bytes, bytes)(b"", metadata=metadata)


async def test_a_process_without_an_address_exposes_nothing(tmp_path: Path) -> None:
    async with running_server(tmp_path, lambda _: None):
        sockets = {file.name for file in tmp_path.glob("*.sock")}

    assert sockets == {"s.sock"}


async def test_only_the_owner_may_connect(tmp_path: Path) -> None:
    at = tmp_path / "m.sock"
    async with exposed(f"unix:{at}"):
        mode = stat.S_IMODE(at.stat().st_mode)

    assert mode == 0o600


async def test_an_address_that_is_taken_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(AddressInUseError):
        async with exposed(f"127.0.0.1:{other.getsockname()[1]}"):
            raise AssertionError


async def test_a_figure_that_cannot_be_looked_up_leaves_the_others(tmp_path: Path) -> None:
    at = tmp_path / "m.sock"

    async def broken() -> None:
        raise OSError

    async with exposed(f"unix:{at}", [broken, *disk_gathers(tmp_path.as_uri(), 1234)]):
        found = await scrape(at)

    assert found.value("heimdallr_blob_disk_watermark_bytes") == 1234
    assert found.value("heimdallr_blob_disk_free_bytes") > 0
    assert found.value("heimdallr_metrics_gatherings_total", outcome="failed") >= 1


async def test_bytes_of_blobs_are_counted_both_ways(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "blobs", free_bytes=0)
    at = tmp_path / "m.sock"
    async with exposed(f"unix:{at}"):
        before = await scrape(at)
        ref = await blobs.put_bytes(b"x" * 1000, "text/plain")
        await blobs.read(ref)
        await blobs.read_range(ref, 900, 500)
        after = await scrape(at)

    def gained(name: str, **labels: str) -> float:
        return after.value(name, **labels) - before.value(name, **labels)

    assert gained("heimdallr_blob_bytes_total", direction="in") == 1000
    assert gained("heimdallr_blob_bytes_total", direction="out") == 1100
    assert gained("heimdallr_blob_operations_total", direction="out") == 2
    assert gained("heimdallr_blob_flush_seconds_count") == 1


@pytest.mark.postgres
async def test_queries_and_transactions_are_measured(tmp_path: Path, pool: Pool) -> None:
    at = tmp_path / "m.sock"
    async with exposed(f"unix:{at}"):
        before = await scrape(at)
        async with transaction(pool) as borrowed:
            await borrowed.execute("CREATE TABLE kept (value text)")
        with pytest.raises(ZeroDivisionError):
            async with transaction(pool):
                raise ZeroDivisionError
        async with connection(pool) as borrowed:
            await borrowed.fetchval("SELECT count(*) FROM kept WHERE value = $1", CANARY)
        after = await scrape(at)

    name = "heimdallr_database_transactions_total"
    for outcome in ("committed", "rolled_back"):
        gained = after.value(name, outcome=outcome) - before.value(name, outcome=outcome)
        assert gained == 1
    waits = "heimdallr_database_wait_seconds_count"
    queries = "heimdallr_database_query_seconds_count"
    assert after.value(waits) - before.value(waits) == 3
    assert after.value(queries) - before.value(queries) >= 2
    assert CANARY not in str(after.families)


def test_every_exported_name_is_ours_or_the_process_s() -> None:
    names = {family.name for family in metrics.REGISTRY.collect()}

    assert names
    assert all(name.startswith(("heimdallr_", "process_")) for name in names)
