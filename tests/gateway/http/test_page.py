from __future__ import annotations

import asyncio
import shutil
import stat
from pathlib import Path

import pytest

from gateway.http.around import CONTENT_SECURITY_POLICY
from gateway.http.server import HttpServer
from services.runtime.client import open_channel
from tests.gateway.http.conftest import Browser


@pytest.mark.parametrize("path", ["/", "/studies?text=a.b", "/studies/0192-id?slice=3", "/sign-in"])
async def test_every_address_of_the_page_gives_its_entry(browser: Browser, path: str) -> None:
    async with browser.session.get(path) as answer:
        text = await answer.text()

    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache")
    assert "<title>page</title>" in text


async def test_a_hashed_file_is_kept_for_good_and_sent_packed(browser: Browser) -> None:
    headers = {"Accept-Encoding": "gzip"}

    async with browser.session.get("/assets/index-d1gest.js", headers=headers) as answer:
        body = await answer.read()

    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert body == b"\x1f\x8bgzipped"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/absent.js",
        "/assets/absent",
        "/absent.png",
        "/.env",
        "/link.txt",
        "/../outside.txt",
        "/assets/../../outside.txt",
        "/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "/assets%5c..%5c..%5coutside.txt",
        "/index.html%00.js",
        "/" + "a" * 5000 + ".js",
    ],
)
async def test_nothing_but_the_pages_own_files_is_served(browser: Browser, path: str) -> None:
    reader, writer = await asyncio.open_connection(*browser.host.split(":"))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    raw = await reader.read()
    writer.close()

    assert raw.split()[1] in {b"400", b"404"}
    assert b"secret" not in raw
    assert b"outside" not in raw.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("path", ["/", "/assets/index-d1gest.js", "/health", "/absent.js"])
async def test_every_answer_carries_the_security_headers(browser: Browser, path: str) -> None:
    async with browser.session.get(path) as answer:
        headers = answer.headers

    assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["X-Correlation-ID"]


def test_the_policy_lets_no_foreign_or_inline_script_run() -> None:
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'")
    assert "unsafe-inline" not in CONTENT_SECURITY_POLICY
    assert "unsafe-eval" not in CONTENT_SECURITY_POLICY
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_the_page_is_only_read(browser: Browser, method: str) -> None:
    async with browser.session.request(method, "/studies") as answer:
        problem = await answer.json(content_type="application/problem+json")

    assert answer.status == problem["status"] == 405


async def test_each_request_has_a_correlation_id_of_its_own(browser: Browser) -> None:
    ids = set()
    for given in ("ours-1", "", "has a space", "x" * 65):
        async with browser.session.get("/health", headers={"X-Correlation-ID": given}) as answer:
            ids.add(answer.headers["X-Correlation-ID"])

    assert len(ids) == 4
    assert "ours-1" in ids
    assert not ids & {"", "has a space", "x" * 65}


async def test_a_page_that_is_not_built_says_how_to_build_it(browser: Browser) -> None:
    shutil.rmtree(browser.folder)

    async with browser.session.get("/studies") as answer:
        text = await answer.text()

    assert answer.status == 503
    assert "make web" in text


async def test_the_socket_is_its_owners_alone_and_replaces_a_dead_one(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/h.sock"
    for _ in range(2):
        channel = open_channel(f"unix:{tmp_path}/nobody.sock")
        server = HttpServer(address, tmp_path, channel, channel)
        await server.start()
        mode = stat.S_IMODE((tmp_path / "h.sock").stat().st_mode)
        task = asyncio.create_task(server.run())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert mode == 0o600
