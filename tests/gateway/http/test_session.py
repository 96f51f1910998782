from __future__ import annotations

from typing import Any

import pytest

from services.runtime.errors import DependencyUnavailableError
from tests.gateway.http.conftest import LINK, PERSON, RENEWED, Browser

GOOD = {"name": "anna", "password": "correct horse battery"}


async def test_a_link_signs_in_and_leaves_a_cookie_that_no_script_can_read(
    browser: Browser,
) -> None:
    async with browser.session.post("/session", json={"sign_in_token": LINK}) as answer:
        cookie = answer.cookies["heimdallr_session"]

    assert answer.status == 204
    assert cookie.value == PERSON
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert 3590 <= int(cookie["max-age"]) <= 3600
    assert not cookie["secure"]


async def test_over_tls_the_cookie_never_travels_in_the_clear(browser: Browser) -> None:
    headers = {"X-Forwarded-Proto": "https"}

    async with browser.session.post("/session", json=GOOD, headers=headers) as answer:
        cookie = answer.cookies["heimdallr_session"]

    assert cookie["secure"]


async def test_a_password_is_checked_with_the_gateways_own_token(browser: Browser) -> None:
    async with browser.session.post("/session", json=GOOD) as answer:
        assert answer.status == 204

    assert browser.access.bearers == ["Bearer gateway-token"]


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        ({"sign_in_token": "other"}, 401, "link-refused"),
        ({"sign_in_token": "line\nbreak"}, 400, "bad-request"),
        ({"sign_in_token": "ümlaut"}, 401, "link-refused"),
        ({"name": "anna", "password": "wrong"}, 401, "sign-in-refused"),
        ({"name": "limited", "password": "x"}, 429, "too-many-attempts"),
        ({"name": "anna"}, 400, "bad-request"),
        ({**GOOD, "sign_in_token": LINK}, 400, "bad-request"),
        ({"sign_in_token": 7}, 400, "bad-request"),
        ([], 400, "bad-request"),
        ({"sign_in_token": "a" * 20_000}, 413, "too-large"),
    ],
)
async def test_what_does_not_sign_in_is_told_as_a_problem(
    browser: Browser, body: Any, status: int, name: str
) -> None:
    headers = {"X-Correlation-ID": "mine-1"}

    async with browser.session.post("/session", json=body, headers=headers) as answer:
        problem = await answer.json(content_type="application/problem+json")

    assert (answer.status, problem["status"]) == (status, status)
    assert problem["type"] == f"urn:heimdallr:problem:{name}"
    assert problem["correlation_id"] == answer.headers["X-Correlation-ID"] == "mine-1"
    assert browser.cookie() is None


async def test_too_many_attempts_say_when_to_come_back(browser: Browser) -> None:
    body = {"name": "limited", "password": "x"}

    async with browser.session.post("/session", json=body) as answer:
        assert answer.headers["Retry-After"] == "60"


async def test_while_access_is_away_the_browser_is_told_to_try_again(browser: Browser) -> None:
    browser.access.error = DependencyUnavailableError("postgres")

    async with browser.session.post("/session", json=GOOD) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/session"), ("POST", "/session/renewal"), ("DELETE", "/session")]
)
async def test_a_foreign_page_signs_nobody_in_or_out(
    browser: Browser, method: str, path: str, headers: dict[str, str]
) -> None:
    async with browser.session.request(method, path, json=GOOD, headers=headers) as answer:
        assert answer.status == 403

    assert browser.access.bearers == []


async def test_the_page_itself_signs_in(browser: Browser) -> None:
    headers = {"Origin": f"http://{browser.host}", "Sec-Fetch-Site": "same-origin"}

    async with browser.session.post("/session", json=GOOD, headers=headers) as answer:
        assert answer.status == 204


async def test_a_form_cannot_sign_in(browser: Browser) -> None:
    async with browser.session.post("/session", data=GOOD) as answer:
        assert answer.status == 415


async def test_a_session_is_renewed_and_ended(browser: Browser) -> None:
    async with browser.session.post("/session", json=GOOD):
        pass

    async with browser.session.post("/session/renewal") as renewed:
        held = browser.cookie()
    async with browser.session.delete("/session") as ended:
        left = browser.cookie()

    assert (renewed.status, held) == (204, RENEWED)
    assert (ended.status, left) == (204, None)


@pytest.mark.parametrize("held", [None, "stale", '"; Path=/x'])
async def test_without_a_valid_session_nothing_is_renewed(
    browser: Browser, held: str | None
) -> None:
    if held is not None:
        browser.session.cookie_jar.update_cookies({"heimdallr_session": held})

    async with browser.session.post("/session/renewal") as answer:
        taken = answer.cookies.get("heimdallr_session")

    assert answer.status == 401
    assert taken is None if held is None else taken is not None and taken["max-age"] == "0"
