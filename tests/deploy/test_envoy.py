from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from services.cli.stack import Stack
from services.cli.stack.endpoints import Endpoints
from services.cli.stack.envoy import PROCESSES, envoy_program, render, template
from services.cli.stack.layout import Layout
from services.cli.stack.settings import MtlsSettings, StackSettings
from tests.support.echo import echo_server
from tests.support.stack import OUR_PROCESSES, stack_settings

pytestmark = pytest.mark.envoy

_SERVERS = ("coordinator", "conversion", "analysis", "reporting", "deid")


@dataclass(frozen=True)
class Mesh:
    """A running Envoy and what it routes to."""

    layout: Layout
    public: str
    mesh: str


@pytest_asyncio.fixture
async def envoy(tmp_path: Path) -> AsyncIterator[Mesh]:
    """Envoy with an echo server in place of each service, and nothing in place of the gateway."""
    settings = stack_settings(tmp_path, OUR_PROCESSES | {"triton", "postgres"})
    async with Stack(settings) as stack, AsyncExitStack() as servers:
        for name in _SERVERS:
            await servers.enter_async_context(echo_server(name, stack.layout.socket(name)))
        await stack.ready(15)
        public = f"{settings.http_address}:{settings.http_port}"
        yield Mesh(stack.layout, public, stack.addresses.mesh)


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    config = tmp_path / "envoy.yaml"
    config.write_text(render(template(), Layout(tmp_path, tmp_path), StackSettings(tmp_path)))
    argv = [str(envoy_program()), "--mode", "validate", "--config-path", str(config)]

    done = subprocess.run(argv, check=False, capture_output=True, timeout=30)

    assert done.returncode == 0, done.stderr.decode()
    assert b"deprecated" not in done.stderr.lower()


def test_the_configuration_with_mutual_tls_is_valid(tmp_path: Path) -> None:
    settings = StackSettings(tmp_path, mtls=MtlsSettings(port=8443))
    layout, config = Layout(tmp_path, tmp_path), tmp_path / "envoy.yaml"
    endpoints = Endpoints.prepare(layout, settings, PROCESSES)
    config.write_text(render(template(), layout, settings, endpoints))
    argv = [str(envoy_program()), "--mode", "validate", "--config-path", str(config)]

    done = subprocess.run(argv, check=False, capture_output=True, timeout=30)

    text = config.read_text()
    assert done.returncode == 0, done.stderr.decode()
    assert b"deprecated" not in done.stderr.lower()
    assert '"require_client_certificate": true' in text
    assert "coordinator.sock" not in text


def test_the_viewer_has_a_listener_only_where_it_has_a_port(tmp_path: Path) -> None:
    config = tmp_path / "envoy.yaml"
    layout = Layout(tmp_path, tmp_path)
    config.write_text(render(template(), layout, StackSettings(tmp_path, ohif_port=8081)))
    argv = [str(envoy_program()), "--mode", "validate", "--config-path", str(config)]

    done = subprocess.run(argv, check=False, capture_output=True, timeout=30)

    assert done.returncode == 0, done.stderr.decode()
    assert "- name: viewer" in config.read_text()
    assert "- name: viewer" not in render(template(), layout, StackSettings(tmp_path))


def test_a_path_with_a_quote_cannot_break_the_configuration(tmp_path: Path) -> None:
    layout = Layout(tmp_path, Path('/tmp/a"b'))

    text = render(template(), layout, StackSettings(tmp_path))

    assert '"path": "/tmp/a\\"b/mesh.sock"' in text


def test_no_route_has_a_time_limit_of_its_own() -> None:
    routes = [line for line in template().splitlines() if "route: {cluster:" in line]

    unlimited = [line for line in routes if "timeout: 0s" in line]

    assert len(routes) >= 12
    assert unlimited == routes


@pytest.mark.parametrize(
    ("domain", "server"),
    [
        ("conversion", "conversion"),
        ("analysis", "analysis"),
        ("reporting", "reporting"),
        ("archive", "coordinator"),
        ("workflow", "coordinator"),
        ("events", "coordinator"),
        ("access", "coordinator"),
        ("audit", "coordinator"),
    ],
)
async def test_a_call_goes_to_the_service_its_name_belongs_to(
    envoy: Mesh, domain: str, server: str
) -> None:
    method = f"/heimdallr.{domain}.v1.SomeService/Do"

    inside = await _call(envoy.mesh, method)
    outside = await _call(envoy.public, method)

    assert inside.split()[0] == server
    assert outside.split()[0] == server


@pytest.mark.parametrize(
    ("service", "server"),
    [
        ("DeidentificationService", "deid"),
        ("OutboundService", "deid"),
        ("DeidProjectService", "coordinator"),
        ("DeidReviewService", "coordinator"),
        ("CrosswalkService", "coordinator"),
    ],
)
async def test_deidentification_is_done_by_its_own_process_and_kept_by_the_coordinator(
    envoy: Mesh, service: str, server: str
) -> None:
    method = f"/heimdallr.deid.v1.{service}/Do"

    answers = [await _call(address, method) for address in (envoy.mesh, envoy.public)]

    assert [answer.split()[0] for answer in answers] == [server, server]


async def test_intake_is_reached_from_inside_alone(envoy: Mesh) -> None:
    method = "/heimdallr.intake.v1.IntakeService/Do"

    inside = await _call(envoy.mesh, method)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await _call(envoy.public, method)

    assert inside.split()[0] == "coordinator"
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_service_that_is_away_is_unavailable_and_found_again(tmp_path: Path) -> None:
    settings = stack_settings(tmp_path, OUR_PROCESSES | {"triton", "postgres"})
    method = "/heimdallr.reporting.v1.SomeService/Do"
    async with Stack(settings) as stack:
        await stack.ready(15)
        away = await _code(stack.addresses.mesh, method)

        async with echo_server("reporting", stack.layout.socket("reporting")):
            began = time.monotonic()
            while await _code(stack.addresses.mesh, method) is not grpc.StatusCode.OK:
                assert time.monotonic() - began < 5

    assert away is grpc.StatusCode.UNAVAILABLE


async def test_headers_that_only_our_own_side_may_send_are_dropped(envoy: Mesh) -> None:
    metadata = (("x-heimdallr-subject", "root"), ("x-heimdallr-permissions", "all"))
    method = "/heimdallr.archive.v1.SomeService/Do"

    answer = await _call(envoy.public, method, metadata)

    assert "x-heimdallr" not in answer


async def test_a_watch_streams_through_grpc_web(envoy: Mesh) -> None:
    frame = b"\x00\x00\x00\x00\x00"
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}

    answer = await _http(envoy, "POST", "/heimdallr.events.v1.S/Watch", headers, frame)

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/grpc-web+proto"
    assert b"coordinator" in answer.body
    assert b"grpc-status:0" in answer.body


@pytest.mark.parametrize("path", ["/", "/heimdallr.archive.v1.S/Do", "/dicom-web/studies"])
async def test_a_preflight_of_a_foreign_page_is_refused_by_envoy(envoy: Mesh, path: str) -> None:
    headers = {"origin": "https://evil.example", "access-control-request-method": "POST"}

    answer = await _http(envoy, "OPTIONS", path, headers)

    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/dicom-web%2fstudies", "/a%5cb"])
async def test_a_path_with_an_escaped_slash_is_refused(envoy: Mesh, path: str) -> None:
    answer = await _http(envoy, "GET", path, {})

    assert answer.status == 400


async def test_a_path_cannot_climb_into_intake(envoy: Mesh) -> None:
    path = "/heimdallr.archive.v1.S/../heimdallr.intake.v1.S/Do"

    answer = await _http(envoy, "POST", path, {"content-type": "application/grpc-web+proto"})

    assert b"coordinator" not in answer.body


async def test_a_header_of_more_than_32_kib_is_refused(envoy: Mesh) -> None:
    answer = await _http(envoy, "GET", "/", {"x-long": "a" * 40_000})

    assert answer.status == 431


async def test_every_answer_carries_the_security_headers(envoy: Mesh) -> None:
    answer = await _http(envoy, "GET", "/", {})

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "x-envoy-upstream-service-time" not in answer.headers


async def test_the_access_log_names_the_route_and_never_the_path(envoy: Mesh) -> None:
    path = "/dicom-web/studies/1.2.826.0.1.999?PatientName=DOE"
    log = envoy.layout.log("envoy")

    await _http(envoy, "GET", path, {"user-agent": "DOE^JOHN"})
    async with asyncio.timeout(5):
        while not log.exists() or "dicomweb" not in log.read_text():  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert any(line["route"] == "dicomweb" for line in lines)
    assert "1.2.826" not in log.read_text()
    assert "DOE" not in log.read_text()


async def test_the_sockets_can_be_used_by_their_owner_alone(envoy: Mesh) -> None:
    mode = envoy.layout.socket("mesh").stat().st_mode

    assert mode & 0o777 == 0o600
    assert envoy.layout.run.stat().st_mode & 0o077 in {0, 0o010}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


async def _call(target: str, method: str, metadata: tuple[tuple[str, str], ...] = ()) -> str:
    async with grpc.aio.insecure_channel(target, _OPTIONS) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        answer: bytes = await call(b"", metadata=metadata, timeout=10)
    return answer.decode()


_OPTIONS = (("grpc.use_local_subchannel_pool", 1),)


async def _code(target: str, method: str) -> grpc.StatusCode:
    try:
        await _call(target, method)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def _http(
    envoy: Mesh, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> Answer:
    host, _, port = envoy.public.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [f"{method} {path} HTTP/1.1", f"host: {envoy.public}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(body)}", "", ""]
    writer.write("\r\n".join(lines).encode() + body)
    async with asyncio.timeout(15):
        raw = await reader.read()
    writer.close()
    head, _, rest = raw.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    pairs = [field.split(": ", 1) for field in fields if ": " in field]
    return Answer(int(status.split()[1]), {name.lower(): value for name, value in pairs}, rest)
