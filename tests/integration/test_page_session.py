"""What a browser does between signing in and signing out, through Envoy, on the whole stack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import grpc
import pytest

from heimdallr.access.v1 import access_service_pb2 as pb
from heimdallr.access.v1 import access_service_pb2_grpc as pb_grpc
from heimdallr.events.v1 import events_service_pb2 as events_pb
from heimdallr.operations.v1 import operations_service_pb2 as operations_pb
from services.runtime.client import MeshChannel
from services.runtime.ids import new_id
from tests.support import grpc_web
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.envoy]

ACCESS: Final = "/heimdallr.access.v1.AccessService"
STATUS: Final = "/heimdallr.operations.v1.OperationsService/GetStatus"
WATCH: Final = "/heimdallr.events.v1.EventsService/WatchEvents"
DIST: Final = Path(__file__).resolve().parents[2] / "services/dashboard/dist"
PASSWORD: Final = "correct horse battery"
GET_CALLER: Final = pb.GetCallerRequest()


class Browser:
    """A browser with its cookies, and the person before it."""

    def __init__(self, session: aiohttp.ClientSession, name: str, link: str) -> None:
        self.session = session
        self.name = name
        self.link = link

    async def post(self, path: str, body: Any = None, **headers: str) -> int:
        """Send JSON and return the status."""
        async with self.session.post(path, json=body, headers=headers) as answer:
            return answer.status

    async def caller(self, **headers: str) -> pb.GetCallerResponse:
        """Ask over gRPC-Web who is signed in."""
        method = f"{ACCESS}/GetCaller"
        return await grpc_web.call(self.session, method, GET_CALLER, pb.GetCallerResponse, headers)

    async def caller_code(self, **headers: str) -> grpc.StatusCode:
        """Return the status of the same."""
        try:
            await self.caller(**headers)
        except grpc_web.GrpcWebError as error:
            return error.code
        return grpc.StatusCode.OK

    def token(self) -> str:
        """Return the token in the cookie; empty without one."""
        held = {cookie.key: cookie.value for cookie in self.session.cookie_jar}
        return held.get("heimdallr_session", "")


@pytest.fixture
async def browser(stack: RunningStack, channel: MeshChannel) -> AsyncIterator[Browser]:
    """A browser of a person who has not signed in yet."""
    access: Any = pb_grpc.AccessServiceStub(channel)
    name = f"anna-{new_id()[-12:]}"
    made = await access.CreateUser(pb.CreateUserRequest(name=name, roles=[pb.ROLE_VIEWER]))
    url = f"http://127.0.0.1:{stack.http_port}"
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(url, cookie_jar=jar) as session:
        yield Browser(session, name, made.sign_in_token.token)


async def signed_in(browser: Browser) -> Browser:
    assert await browser.post("/session", {"sign_in_token": browser.link}) == 204
    return browser


async def test_a_link_signs_in_once_and_the_cookie_makes_calls(browser: Browser) -> None:
    assert await browser.caller_code() is grpc.StatusCode.UNAUTHENTICATED

    first = await browser.post("/session", {"sign_in_token": browser.link})
    caller = await browser.caller()
    again = await browser.post("/session", {"sign_in_token": browser.link})

    assert (first, again) == (204, 401)
    assert (caller.user.name, caller.has_password) == (browser.name, False)


async def test_a_session_is_renewed_and_ends_with_signing_out(browser: Browser) -> None:
    before = (await signed_in(browser)).token()

    renewed = await browser.post("/session/renewal")
    after = browser.token()
    works = await browser.caller_code()
    async with browser.session.delete("/session") as answer:
        ended = answer.status

    assert (renewed, ended) == (204, 204)
    assert before != after
    assert works is grpc.StatusCode.OK
    assert browser.token() == ""
    assert await browser.caller_code() is grpc.StatusCode.UNAUTHENTICATED
    assert await browser.post("/session/renewal") == 401


async def test_a_password_set_on_the_page_signs_in_later(browser: Browser) -> None:
    await signed_in(browser)
    request = pb.SetPasswordRequest(new_password=PASSWORD)
    await grpc_web.call(browser.session, f"{ACCESS}/SetPassword", request, pb.SetPasswordResponse)
    browser.session.cookie_jar.clear()

    wrong = await browser.post("/session", {"name": browser.name, "password": "wrong"})
    right = await browser.post("/session", {"name": browser.name, "password": PASSWORD})

    assert (wrong, right) == (401, 204)
    assert (await browser.caller()).has_password


async def test_guessing_is_slowed_down(browser: Browser) -> None:
    guess = {"name": browser.name, "password": "guess"}

    statuses = [await browser.post("/session", guess) for _ in range(6)]

    assert statuses == [401] * 5 + [429]


async def test_nobody_checks_passwords_but_the_gateway(browser: Browser) -> None:
    await signed_in(browser)
    request = pb.SignInWithPasswordRequest(name=browser.name, password=PASSWORD)
    method = f"{ACCESS}/SignInWithPassword"

    with pytest.raises(grpc_web.GrpcWebError) as refused:
        await grpc_web.call(browser.session, method, request, pb.SignInWithPasswordResponse)

    assert refused.value.code is grpc.StatusCode.PERMISSION_DENIED


async def test_a_foreign_page_neither_signs_in_nor_calls(browser: Browser) -> None:
    foreign = {"Origin": "https://evil.example"}
    statuses = [await browser.post("/session", {"sign_in_token": browser.link}, **foreign)]
    await signed_in(browser)

    statuses.append(await browser.post("/session/renewal", None, **foreign))
    async with browser.session.delete("/session", headers=foreign) as answer:
        statuses.append(answer.status)
    async with browser.session.options(f"{ACCESS}/GetCaller", headers=foreign) as answer:
        statuses.append(answer.status)
        allowed = "Access-Control-Allow-Origin" in answer.headers
    plain = foreign | {"Content-Type": "text/plain"}
    async with browser.session.post(
        f"{ACCESS}/GetCaller", data=b"\0\0\0\0\0", headers=plain
    ) as answer:
        statuses.append(answer.status)

    assert statuses == [403, 403, 403, 403, 415]
    assert not allowed
    assert await browser.caller_code() is grpc.StatusCode.OK


async def test_a_bearer_is_not_looked_past(browser: Browser) -> None:
    await signed_in(browser)

    code = await browser.caller_code(Authorization="Bearer wrong")

    assert code is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    "path",
    ["/", "/studies?text=a", "/studies/01890a5d-ac96-774b-bcce-b302099a8057", "/sign-in"],
)
async def test_every_address_of_the_page_gives_its_entry_under_a_strict_policy(
    browser: Browser, path: str
) -> None:
    async with browser.session.get(path) as answer:
        body = await answer.read()

    entry = DIST / "index.html"
    if entry.is_file():
        assert (answer.status, body) == (200, entry.read_bytes())
        assert answer.headers["Cache-Control"] == "no-cache"
    else:
        assert answer.status == 503
        assert b"make web" in body
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src")
    assert "Strict-Transport-Security" not in answer.headers


async def test_a_watch_reaches_the_browser_at_once(browser: Browser) -> None:
    await signed_in(browser)
    request = events_pb.WatchEventsRequest()

    answers = grpc_web.stream(browser.session, WATCH, request, events_pb.WatchEventsResponse)
    async with asyncio.timeout(20):
        first = await anext(answers)
    await answers.aclose()  # type: ignore[attr-defined]

    assert first is not None


async def test_the_status_tells_of_every_process(browser: Browser) -> None:
    await signed_in(browser)
    request = operations_pb.GetStatusRequest()

    status = await grpc_web.call(browser.session, STATUS, request, operations_pb.GetStatusResponse)

    states = {one.name: one.state for one in status.processes}
    assert {"postgres", "envoy", "coordinator", "gateway"} <= states.keys()
    assert set(states.values()) == {operations_pb.PROCESS_STATE_READY}
    assert {"heimdallr", "postgres", "envoy"} <= {one.part for one in status.versions}
    assert status.storage.free_bytes > 0


async def test_no_token_or_name_is_written_into_a_log(
    browser: Browser, stack: RunningStack
) -> None:
    await browser.post("/session?secret-query", {"name": browser.name, "password": PASSWORD})
    await signed_in(browser)
    await browser.caller()

    text = "".join(stack.logs().values())
    assert browser.link not in text
    assert browser.token() not in text
    assert browser.name not in text
    assert PASSWORD not in text
    assert "secret-query" not in text
