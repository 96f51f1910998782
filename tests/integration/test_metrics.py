"""Metrics of a whole stack, where Prometheus would find them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aiohttp
import pytest

from services.cli.stack.metrics import EXPOSING
from services.cli.stack.ports import free_ports
from tests.support.running_stack import RunningStack
from tests.support.scrapes import Scrape, parsed

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def metrics_port() -> int:
    [port] = free_ports(1)
    return port


@pytest.fixture(scope="module")
def watched_stack(metrics_port: int) -> Iterator[RunningStack]:
    with RunningStack(arguments=("--metrics-port", str(metrics_port), "--without", "triton")) as up:
        yield up


async def fetch(port: int, path: str, **options: str) -> tuple[int, str]:
    method = options.pop("method", "GET")
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{port}{path}", headers=options) as answer,
    ):
        return answer.status, await answer.text()


async def scraped(port: int, name: str) -> Scrape:
    status, text = await fetch(port, f"/metrics/{name}")
    assert status == 200, (name, text)
    return parsed(text)


async def test_every_process_is_found_in_one_place(
    watched_stack: RunningStack, metrics_port: int
) -> None:
    found = {name: await scraped(metrics_port, name) for name in EXPOSING}

    for name, process in found.items():
        assert process.value("process_resident_memory_bytes") > 1e7, name
        assert process.value("heimdallr_blob_disk_free_bytes") > 0, name
    coordinator = found["coordinator"]
    connections = "heimdallr_database_connections"
    opened = sum(coordinator.value(connections, state=state) for state in ("idle", "used"))
    assert 1 <= opened <= coordinator.value("heimdallr_database_connections_limit")
    assert coordinator.value("heimdallr_database_query_seconds_count") > 10
    assert coordinator.value("heimdallr_metrics_gatherings_total", outcome="failed") == 0
    assert "heimdallr_studies" in coordinator.families
    assert found["gateway"].value("heimdallr_gateway_online") == 1
    assert found["analysis"].value("heimdallr_models", state="unavailable") == 1


async def test_envoy_counts_what_comes_from_outside(
    watched_stack: RunningStack, metrics_port: int
) -> None:
    public = {"envoy_http_conn_manager_prefix": "public", "envoy_response_code_class": "2"}
    await fetch(watched_stack.http_port, "/health")

    count = 0.0
    async with asyncio.timeout(10):
        while not count:
            envoy = await scraped(metrics_port, "envoy")
            # The parser gives every counter the suffix that Envoy leaves out.
            count = envoy.value("envoy_http_downstream_rq_xx_total", **public)

    assert count >= 1


async def test_a_sign_in_that_fails_is_counted(
    watched_stack: RunningStack, metrics_port: int
) -> None:
    before = await scraped(metrics_port, "coordinator")

    status, _ = await _signed_in(watched_stack, "no-such-code")

    after = await scraped(metrics_port, "coordinator")
    refused = {"way": "link", "outcome": "refused"}
    assert status == 401
    name = "heimdallr_sign_ins_total"
    assert after.value(name, **refused) - before.value(name, **refused) == 1


async def _signed_in(stack: RunningStack, code: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{stack.http_port}/session"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={"sign_in_token": code}) as answer,
    ):
        return answer.status, await answer.text()


@pytest.mark.parametrize(
    "path",
    ["/", "/metrics", "/metrics/other", "/metrics/envoy/../../quitquitquit", "/config_dump"],
)
async def test_nothing_else_is_reached_through_the_metrics_port(
    watched_stack: RunningStack, metrics_port: int, path: str
) -> None:
    status, _ = await fetch(metrics_port, path)

    assert status == 404


async def test_envoy_cannot_be_stopped_or_read_by_a_page_of_another_name(
    watched_stack: RunningStack, metrics_port: int
) -> None:
    posted, _ = await fetch(metrics_port, "/metrics/envoy", method="POST")
    foreign, _ = await fetch(metrics_port, "/metrics/coordinator", Host="rebound.example")

    assert (posted, foreign) == (404, 404)


async def test_a_process_that_was_killed_is_seen_to_be_away_and_to_return(
    watched_stack: RunningStack, metrics_port: int
) -> None:
    watched_stack.kill("reporting")

    away = await _status_in_time(metrics_port, "reporting", 503)
    back = await _status_in_time(metrics_port, "reporting", 200)

    assert (away, back) == (503, 200)


async def _status_in_time(port: int, name: str, wanted: int) -> int:
    status = 0
    async with asyncio.timeout(30):
        while status != wanted:
            status, _ = await fetch(port, f"/metrics/{name}")
            await asyncio.sleep(0.05)
    return status


async def test_no_metrics_are_served_on_the_public_port(watched_stack: RunningStack) -> None:
    for name in (*EXPOSING, "envoy"):
        _, text = await fetch(watched_stack.http_port, f"/metrics/{name}")

        assert "heimdallr_grpc_server_calls" not in text
        assert "envoy_http" not in text
