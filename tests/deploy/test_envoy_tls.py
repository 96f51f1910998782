"""The public listener with TLS, and what foreign pages can do to it."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import grpc
import pytest

from services.cli.stack import Stack, StackSettings, TlsSettings
from services.cli.stack.envoy import envoy_program, render, template
from services.cli.stack.layout import Layout
from services.cli.stack.tls import prepare_tls
from tests.support.echo import echo_server
from tests.support.stack import OUR_PROCESSES, stack_settings

pytestmark = pytest.mark.envoy

METHOD = "/heimdallr.archive.v1.SomeService/Do"
GRPC_WEB = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}


@dataclass(frozen=True)
class Public:
    """The public listener, and the certificate that a client has to trust."""

    url: str
    port: int
    certificate: Path

    def trust(self) -> ssl.SSLContext:
        """Return a client's side of TLS that trusts the certificate alone."""
        return ssl.create_default_context(cafile=str(self.certificate))


@pytest.fixture
def small_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let five calls pass, and then one every minute."""
    usual = "{max_tokens: 4000, tokens_per_fill: 2000, fill_interval: 1s}"
    small = "{max_tokens: 5, tokens_per_fill: 1, fill_interval: 60s}"
    text = template().replace(usual, small)
    assert small in text
    monkeypatch.setattr("services.cli.stack.envoy.template", lambda: text)


@pytest.fixture(params=["http", "https"])
async def public(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Public]:
    """Envoy before an echo server in place of the coordinator."""
    tls = TlsSettings() if request.param == "https" else None
    without = OUR_PROCESSES | {"triton", "postgres"}
    settings = replace(stack_settings(tmp_path, without), tls=tls)
    async with Stack(settings) as stack, AsyncExitStack() as servers:
        socket = stack.layout.socket("coordinator")
        await servers.enter_async_context(echo_server("coordinator", socket))
        await stack.ready(15)
        certificate = stack.layout.tls_certificate
        yield Public(stack.addresses.http, settings.http_port, certificate)


@pytest.fixture
async def browser(public: Public) -> AsyncIterator[aiohttp.ClientSession]:
    trust = public.trust() if public.url.startswith("https") else False
    connector = aiohttp.TCPConnector(ssl=trust)
    async with aiohttp.ClientSession(public.url, connector=connector) as session:
        yield session


def test_the_configuration_with_tls_is_valid(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path)
    settings = StackSettings(tmp_path, tls=TlsSettings())
    prepare_tls(layout, settings)
    config = tmp_path / "envoy.yaml"
    config.write_text(render(template(), layout, settings))
    argv = [str(envoy_program()), "--mode", "validate", "--config-path", str(config)]

    done = subprocess.run(argv, check=False, capture_output=True, timeout=30)

    assert done.returncode == 0, done.stderr.decode()


async def test_a_page_calls_over_grpc_web(browser: aiohttp.ClientSession, public: Public) -> None:
    async with browser.post(METHOD, headers=GRPC_WEB, data=b"\0\0\0\0\0") as answer:
        body = await answer.read()

    assert b"coordinator" in body
    lasting = answer.headers.get("strict-transport-security")
    assert lasting == ("max-age=31536000" if public.url.startswith("https") else None)


@pytest.mark.parametrize("public", ["https"], indirect=True)
async def test_a_program_calls_over_grpc_with_tls(public: Public) -> None:
    credentials = grpc.ssl_channel_credentials(public.certificate.read_bytes())
    target = f"127.0.0.1:{public.port}"

    async with grpc.aio.secure_channel(target, credentials) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
        answer = await call(b"", timeout=10)

    assert answer.startswith(b"coordinator")


@pytest.mark.parametrize("public", ["https"], indirect=True)
async def test_tls_1_2_and_plain_text_are_refused(public: Public) -> None:
    old = public.trust()
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|protocol version"):
        await asyncio.open_connection("localhost", public.port, ssl=old)
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        answer = await reader.read()
    except ConnectionError:
        answer = b""
    writer.close()
    assert b"HTTP" not in answer


@pytest.mark.parametrize("public", ["https"], indirect=True)
async def test_the_newest_tls_is_spoken(public: Public) -> None:
    _, writer = await asyncio.open_connection("localhost", public.port, ssl=public.trust())
    spoken = writer.get_extra_info("ssl_object").version()
    writer.close()
    await writer.wait_closed()

    assert spoken == "TLSv1.3"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_form_of_a_foreign_page_reaches_no_service(
    browser: aiohttp.ClientSession, kind: str
) -> None:
    headers = {"content-type": kind, "origin": "https://evil.example"}

    statuses = []
    for _ in range(8):
        async with browser.post(METHOD, headers=headers, data=b"\0\0\0\0\0") as answer:
            statuses.append(answer.status)
    async with browser.post(METHOD, headers=GRPC_WEB, data=b"\0\0\0\0\0") as after:
        body = await after.read()

    assert statuses == [415] * 8
    assert b"coordinator" in body


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_call_that_a_browser_says_is_foreign_reaches_no_service(
    browser: aiohttp.ClientSession, site: str
) -> None:
    headers = GRPC_WEB | {"sec-fetch-site": site}

    async with browser.post(METHOD, headers=headers, data=b"\0\0\0\0\0") as answer:
        body = await answer.read()

    assert answer.status == 403
    assert b"coordinator" not in body


async def test_a_flood_is_told_to_wait_and_reaches_no_service(
    small_bucket: None, tmp_path: Path
) -> None:
    without = OUR_PROCESSES | {"triton", "postgres"}
    answers = []
    async with Stack(stack_settings(tmp_path, without)) as stack, AsyncExitStack() as servers:
        socket = stack.layout.socket("coordinator")
        await servers.enter_async_context(echo_server("coordinator", socket))
        await stack.ready(15)
        async with aiohttp.ClientSession(stack.addresses.http) as session:
            for _ in range(12):
                async with session.post(METHOD, headers=GRPC_WEB, data=b"\0" * 5) as answer:
                    body = await answer.read()
                    answers.append((answer.status, b"coordinator" in body))

    assert answers == [(200, True)] * 5 + [(429, False)] * 7


async def test_our_own_page_is_no_foreign_one(browser: aiohttp.ClientSession) -> None:
    headers = GRPC_WEB | {"sec-fetch-site": "same-origin"}

    async with browser.post(METHOD, headers=headers, data=b"\0\0\0\0\0") as answer:
        assert b"coordinator" in await answer.read()
