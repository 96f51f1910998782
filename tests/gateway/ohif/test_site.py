from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from gateway.http.server import HttpServer
from gateway.ohif.settings import OhifSettings
from gateway.ohif.site import SITE, SITE_HEADER, OhifSite
from services.runtime.client import open_channel
from services.runtime.tokens import Verifier
from tests.support.tokens import TestTokens

INLINE = "window.PUBLIC_URL='/'"
VIEWER = {SITE_HEADER: SITE}


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    for name, title in (("page", "the page"), ("viewer", "the viewer")):
        (tmp_path / name).mkdir()
        index = f"<!doctype html><title>{title}</title><script>{INLINE}</script>"
        (tmp_path / name / "index.html").write_text(index)
    (tmp_path / "viewer/app.bundle.js").write_text("export {}")
    tokens = TestTokens.create(tmp_path)
    settings = OhifSettings(folder=tmp_path / "viewer", page_port=8080)
    site = OhifSite(settings, Verifier(tokens.jwks_file))
    channels = [open_channel(f"unix:{tmp_path}/mesh.sock") for _ in range(2)]
    http = HttpServer("127.0.0.1:0", tmp_path / "page", channels[0], channels[1], viewer=site)
    host = await http.start()
    running = asyncio.create_task(http.run())
    cookies = {"heimdallr_session": tokens.mint()}
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(f"http://{host}", cookies=cookies, cookie_jar=jar) as opened:
        yield opened
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_the_viewer_is_behind_its_own_listener_alone(session: aiohttp.ClientSession) -> None:
    async with session.get("/", headers=VIEWER) as viewer, session.get("/") as page:
        assert "the viewer" in await viewer.text()
        assert "the page" in await page.text()


async def test_every_address_of_the_viewer_is_its_entry(session: aiohttp.ClientSession) -> None:
    async with session.get("/viewer?StudyInstanceUIDs=1.2.3", headers=VIEWER) as answer:
        assert answer.status == 200
        assert "the viewer" in await answer.text()


async def test_the_viewer_runs_its_own_scripts_isolated(session: aiohttp.ClientSession) -> None:
    digest = base64.b64encode(hashlib.sha256(INLINE.encode()).digest()).decode()

    async with session.get("/", headers=VIEWER) as answer:
        policy = answer.headers["Content-Security-Policy"]
        embedder = answer.headers["Cross-Origin-Embedder-Policy"]
        opener = answer.headers["Cross-Origin-Opener-Policy"]

    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert scripts == f"script-src 'self' 'wasm-unsafe-eval' 'sha256-{digest}'"
    assert "default-src 'none'" in policy
    assert (embedder, opener) == ("require-corp", "same-origin")


async def test_only_a_worker_may_build_functions(session: aiohttp.ClientSession) -> None:
    async with session.get("/app.bundle.js", headers=VIEWER) as script:
        assert "'unsafe-eval'" in script.headers["Content-Security-Policy"]
    async with session.get("/viewer", headers=VIEWER) as document:
        assert " 'unsafe-eval'" not in document.headers["Content-Security-Policy"]


async def test_the_page_keeps_its_policy(session: aiohttp.ClientSession) -> None:
    async with session.get("/") as answer:
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert "sha256" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
async def test_who_is_not_signed_in_is_told_where_to(
    session: aiohttp.ClientSession, token: str
) -> None:
    session.cookie_jar.clear()
    headers = {**VIEWER, "Cookie": f"heimdallr_session={token}", "Host": "pacs.example:8081"}

    async with session.get("/viewer", headers=headers) as answer:
        assert answer.status == 401
        assert 'href="http://pacs.example:8080/"' in await answer.text()


async def test_a_host_that_is_no_host_leads_nowhere(session: aiohttp.ClientSession) -> None:
    session.cookie_jar.clear()

    async with session.get("/", headers={**VIEWER, "Host": 'x"onload=alert(1):8081'}) as answer:
        assert "alert" not in await answer.text()
