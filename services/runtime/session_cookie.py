"""The cookie that holds a person's token in a browser (RFC 6265 section 5.4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

NAME: Final = "heimdallr_session"


class MalformedCookieError(Exception):
    """The cookie comes more than once, or without a value."""


def token_in(headers: Iterable[str]) -> str | None:
    """Return the token in some Cookie headers; None when they hold none.

    HTTP/2 may send each cookie in a header of its own (RFC 9113 section 8.2.3).

    Raises:
        MalformedCookieError: It comes more than once, as when somebody planted another one, or
            without a value.
    """
    pairs = [pair.strip().partition("=") for header in headers for pair in header.split(";")]
    found = {value for name, _, value in pairs if name == NAME}
    if not found:
        return None
    token = found.pop()
    if found or not token:
        raise MalformedCookieError
    return token
