"""gRPC-Web as a browser speaks it: frames in the body of a POST."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final, TypeVar
from urllib.parse import unquote

import aiohttp
import grpc
from google.protobuf.message import Message

_TRAILERS: Final = 0x80
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_Answer = TypeVar("_Answer", bound=Message)


class GrpcWebError(Exception):
    """A call ended with a status other than OK."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(f"{code.name} {text}")
        self.code = code


async def call(
    session: aiohttp.ClientSession,
    method: str,
    request: Message,
    answer: type[_Answer],
    headers: Mapping[str, str] | None = None,
) -> _Answer:
    """Make a call with one answer.

    Raises:
        GrpcWebError: It failed.
    """
    answers = [one async for one in stream(session, method, request, answer, headers)]
    return answers[0]


async def stream(
    session: aiohttp.ClientSession,
    method: str,
    request: Message,
    answer: type[_Answer],
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[_Answer]:
    """Make a call and yield its answers as they come.

    Raises:
        GrpcWebError: It failed.
    """
    body = request.SerializeToString()
    kind = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    async with session.post(
        method,
        headers={**kind, **(headers or {})},
        data=b"\0" + len(body).to_bytes(4, "big") + body,
    ) as response:
        if "grpc-status" in response.headers:
            _check(response.headers)
        while head := await _exactly(response.content, 5):
            content = await _exactly(response.content, int.from_bytes(head[1:], "big"))
            if head[0] & _TRAILERS:
                lines = (line.partition(":") for line in content.decode().splitlines())
                _check({name.strip(): value.strip() for name, _, value in lines})
                return
            yield answer.FromString(content)


async def _exactly(content: aiohttp.StreamReader, count: int) -> bytes:
    try:
        return await content.readexactly(count)
    except EOFError:
        return b""


def _check(trailers: Mapping[str, str]) -> None:
    code = _CODES[int(trailers["grpc-status"])]
    if code is not grpc.StatusCode.OK:
        raise GrpcWebError(code, unquote(trailers.get("grpc-message", "")))
