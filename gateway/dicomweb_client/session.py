"""HTTP to one peer: its address alone, within bounds, with what we show it."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from gateway.peers.errors import PeerRefusedError, PeerUnreachableError
from gateway.peers.peer import Credentials, Peer
from gateway.peers.resolving import addresses
from gateway.peers.settings import ExchangeSettings
from gateway.peers.tls import client_context
from services.runtime.errors import InvalidFieldError
from services.runtime.forbidden_addresses import is_forbidden

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 3
_PORTS: Final = {"http": 80, "https": 443}
_RULES: Final = {
    400: "it does not understand the request",
    401: "it does not know us",
    403: "it does not permit it",
    404: "there is no such thing there",
    406: "it has no such form",
    409: "it stores nothing of what was sent",
    413: "too much at once",
    415: "it does not take this form",
}


class WebSession:
    """Requests to one peer.

    Args:
        client: Its connections.
        peer: The peer.
        settings: Bounds and times.
    """

    def __init__(
        self, client: aiohttp.ClientSession, peer: Peer, settings: ExchangeSettings
    ) -> None:
        self._client = client
        self._settings = settings
        self.peer = peer
        self._base = URL(peer.require_web().url, encoded=True)

    @asynccontextmanager
    async def get(
        self, path: str, query: Mapping[str, str] | list[tuple[str, str]], accept: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Get a resource below the base URL; redirects lead nowhere but to the same server.

        Raises:
            PeerUnreachableError: It does not answer.
            PeerRefusedError: Its status is no success.
        """
        url = self._url(path).with_query(query)
        for _ in range(_MOST_REDIRECTS + 1):
            async with self.request("GET", url, accept) as response:
                if response.status in _REDIRECTS:
                    url = self._redirected(url, response)
                    continue
                if not 200 <= response.status < 300:
                    raise refusal(self.peer, response.status)
                yield response
                return
        raise PeerRefusedError(self.peer.name, "310", "it redirects again and again")

    @asynccontextmanager
    async def post(
        self, path: str, content_type: str, body: AsyncIterator[bytes], accept: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Post to a resource below the base URL; whatever the status, redirects are refused.

        Raises:
            PeerUnreachableError: It does not answer.
            PeerRefusedError: It redirects.
        """
        url, headers = self._url(path), {"Content-Type": content_type}
        async with self.request("POST", url, accept, data=body, headers=headers) as response:
            if response.status in _REDIRECTS:
                raise PeerRefusedError(self.peer.name, str(response.status), "it redirects")
            yield response

    @asynccontextmanager
    async def request(
        self, method: str, url: URL, accept: str, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Make one request; see `get` and `post`."""
        headers = {"Accept": accept, "Accept-Encoding": "identity", **options.pop("headers", {})}
        try:
            async with self._client.request(
                method, url, headers=headers, allow_redirects=False, **options
            ) as response:
                if response.headers.get("Content-Encoding", "identity") != "identity":
                    rule = "its answer is compressed though that was not asked for"
                    raise PeerRefusedError(self.peer.name, str(response.status), rule)
                yield response
        except (aiohttp.ClientSSLError, ssl.SSLError):
            raise PeerUnreachableError(self.peer.name, "tls", "TLS is not agreed on") from None
        except aiohttp.ClientConnectorError:
            raise PeerUnreachableError(self.peer.name, "connect", "no connection") from None
        except aiohttp.ServerTimeoutError:
            raise PeerUnreachableError(self.peer.name, "http", "it is silent") from None
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise PeerUnreachableError(self.peer.name, "http", "it broke off") from None

    async def body(self, response: aiohttp.ClientResponse) -> bytes:
        """Return a whole answer.

        Raises:
            PeerRefusedError: It is longer than ``max_answer_bytes``.
        """
        found = bytearray()
        async for piece in response.content.iter_any():
            found += piece
            if len(found) > self._settings.max_answer_bytes:
                rule = "its answer is longer than is taken"
                raise PeerRefusedError(self.peer.name, str(response.status), rule)
        return bytes(found)

    def _url(self, path: str) -> URL:
        return URL(f"{self._base}/{path}", encoded=True)

    def _redirected(self, url: URL, response: aiohttp.ClientResponse) -> URL:
        try:
            target = url.join(URL(response.headers.get("Location", "")))
        except ValueError:
            target = URL()
        if target.absolute and target.origin() == self._base.origin():
            return target
        rule = "it redirects to another server"
        raise PeerRefusedError(self.peer.name, str(response.status), rule)


@asynccontextmanager
async def web_session(peer: Peer, settings: ExchangeSettings) -> AsyncIterator[WebSession]:
    """Open a session with a peer for the length of the block.

    Raises:
        InvalidFieldError: It speaks no DICOMweb.
        PeerUnreachableError: Its name is unknown, or leads where no peer can be.
    """
    there = peer.require_web()
    parts = urlsplit(there.url)
    if parts.scheme not in _PORTS or parts.hostname is None:
        raise InvalidFieldError("peer", "one with an http or https URL")
    port = parts.port or _PORTS[parts.scheme]
    await addresses(peer.name, parts.hostname, port, settings.connect_timeout_s)
    tls = client_context(there.tls_ca_pem, peer.credentials, names_are_checked=True)
    connector = aiohttp.TCPConnector(
        resolver=_GuardedResolver(), ssl=tls, limit=4, use_dns_cache=False
    )
    timeout = aiohttp.ClientTimeout(
        total=None,
        sock_connect=settings.connect_timeout_s,
        sock_read=settings.message_timeout_s,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        headers={"User-Agent": "Heimdallr", **_authorization(peer.credentials)},
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
    ) as client:
        yield WebSession(client, peer, settings)


def refusal(peer: Peer, status: int) -> PeerRefusedError | PeerUnreachableError:
    """Return the error for a status that is no success."""
    if status in (429, 502, 503, 504):
        return PeerUnreachableError(peer.name, "http", f"it cannot answer now (HTTP {status})")
    rule = _RULES.get(status, "the request")
    return PeerRefusedError(peer.name, str(status), rule)


def _authorization(shown: Credentials) -> dict[str, str]:
    if shown.bearer_token:
        return {"Authorization": f"Bearer {shown.bearer_token}"}
    if shown.user_name:
        pair = f"{shown.user_name}:{shown.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
    return {}


class _GuardedResolver(AbstractResolver):
    """Looks names up at the moment of connecting, and knows where no peer can be."""

    def __init__(self) -> None:
        self._inner = aiohttp.ThreadedResolver(loop=asyncio.get_running_loop())

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if any(is_forbidden(entry["host"]) for entry in found):
            raise OSError("an address where no peer can be")
        return found

    async def close(self) -> None:
        await self._inner.close()
