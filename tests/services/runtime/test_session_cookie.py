from __future__ import annotations

import pytest

from services.runtime.session_cookie import MalformedCookieError, token_in


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        (["heimdallr_session=abc"], "abc"),
        (["theme=dark; heimdallr_session=a.b-c_d; other=1"], "a.b-c_d"),
        (["theme=dark", "heimdallr_session=abc"], "abc"),
        (["heimdallr_session=abc=="], "abc=="),
        (["heimdallr_session=abc", "heimdallr_session=abc"], "abc"),
        (["xheimdallr_session=abc; Heimdallr_session=abc"], None),
        (["theme=heimdallr_session=abc"], None),
        (["", ";;", "heimdallr"], None),
        ([], None),
    ],
)
def test_the_token_is_found_among_cookies(headers: list[str], token: str | None) -> None:
    assert token_in(headers) == token


@pytest.mark.parametrize(
    "headers",
    [
        ["heimdallr_session="],
        ["heimdallr_session"],
        ["heimdallr_session=one; heimdallr_session=two"],
        ["heimdallr_session=one", "heimdallr_session=two"],
    ],
)
def test_a_cookie_that_could_be_planted_is_refused(headers: list[str]) -> None:
    with pytest.raises(MalformedCookieError):
        token_in(headers)
