"""Uploads by the protocol of tus.io 1.0.0: in pieces, and on from where they broke off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any, Final, Protocol

import aiohttp

PATH: Final = "/api/v1/uploads"
_TUS: Final = {"Tus-Resumable": "1.0.0"}
_TYPE: Final = "application/offset+octet-stream"
_BATCH_BYTES: Final = 64 << 20
_TRIES: Final = 10
_LONGEST_PAUSE_S: Final = 15.0
_POLL_S: Final = 0.25
_TRY_AGAIN: Final = frozenset({408, 409, 423, 429, 500, 502, 503, 504, 507})

OnProgress = Callable[[int], None]


class UploadError(Exception):
    """An upload that cannot go on.

    Attributes:
        sentence: Why, for a person.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Content(Protocol):
    """What is uploaded."""

    @property
    def size(self) -> int:
        """Size in bytes."""
        ...

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """Yield it from one byte on."""
        ...


class Uploader:
    """Uploads to one server.

    Args:
        session: HTTP session with the server's address and our token.
        pause_s: First pause before something is tried again.
    """

    def __init__(self, session: aiohttp.ClientSession, pause_s: float = 0.5) -> None:
        self._session = session
        self._pause_s = pause_s

    async def begin(self, size: int) -> str:
        """Begin an upload and return its id.

        Raises:
            UploadError: The server does not take it.
        """
        headers = {**_TUS, "Upload-Length": str(size)}
        for attempt in range(_TRIES):
            try:
                async with self._session.post(PATH, headers=headers) as answer:
                    if answer.status == 201:
                        return answer.headers["Location"].rpartition("/")[2]
                    await self._refused(answer)
            except (aiohttp.ClientError, OSError):
                pass
            await self._pause(attempt)
        raise UploadError("the server does not answer")

    async def offset(self, upload_id: str) -> int | None:
        """Return how much of an upload came; None where the server does not know it.

        Raises:
            UploadError: The server does not answer, or refuses.
        """
        for attempt in range(_TRIES):
            try:
                async with self._session.head(f"{PATH}/{upload_id}", headers=_TUS) as answer:
                    if answer.status in (404, 410):
                        return None
                    if answer.status == 200:
                        return int(answer.headers["Upload-Offset"])
                    await self._refused(answer)
            except (aiohttp.ClientError, OSError):
                pass
            await self._pause(attempt)
        raise UploadError("the server does not answer")

    async def send(
        self, upload_id: str, content: Content, on_progress: OnProgress = lambda _: None
    ) -> None:
        """Send what an upload lacks.

        Args:
            upload_id: The upload.
            content: All of it.
            on_progress: Called with the bytes that the server has.

        Raises:
            UploadError: It cannot go on.
        """
        tries, reached = 0, -1
        while True:
            offset = await self.offset(upload_id)
            if offset is None:
                raise UploadError("the server has forgotten the upload")
            tries = 0 if offset > reached else tries + 1
            reached = offset
            on_progress(offset)
            if offset >= content.size:
                return
            if tries >= _TRIES:
                raise UploadError("the server takes no more of it")
            if tries:
                await self._pause(tries)
            await self._append(upload_id, offset, content, on_progress)

    async def outcome(self, upload_id: str) -> dict[str, Any]:
        """Wait until it is known what became of an upload.

        Raises:
            UploadError: The server does not answer, or has forgotten it.
        """
        failures = 0
        while failures < _TRIES:
            try:
                async with self._session.get(f"{PATH}/{upload_id}") as answer:
                    if answer.status == 200:
                        document: dict[str, Any] = await answer.json()
                        if document["state"] == "done":
                            return document
                        failures = 0
                    elif answer.status == 404:
                        raise UploadError("the server has forgotten the upload")
            except (aiohttp.ClientError, OSError):
                failures += 1
            await asyncio.sleep(_POLL_S if not failures else self._pause_s)
        raise UploadError("the server does not answer")

    async def _append(
        self, upload_id: str, offset: int, content: Content, on_progress: OnProgress
    ) -> None:
        """Send from an offset on, in requests of a bounded size, as far as that goes."""
        pieces = content.pieces(offset)
        while offset < content.size:
            headers = {**_TUS, "Upload-Offset": str(offset), "Content-Type": _TYPE}
            body = _Body(pieces, offset, on_progress)
            try:
                async with self._session.patch(
                    f"{PATH}/{upload_id}", data=body.read(), headers=headers
                ) as answer:
                    if answer.status != 204:
                        await self._refused(answer)
                        return
                    offset = int(answer.headers["Upload-Offset"])
            except (aiohttp.ClientError, OSError):
                return
            if body.is_last:
                return

    async def _refused(self, answer: aiohttp.ClientResponse) -> None:
        """Raise where trying again is no use."""
        if answer.status in _TRY_AGAIN:
            return
        if answer.status == 401:
            raise UploadError("the server does not accept the token")
        try:
            detail = str((await answer.json(content_type=None)).get("detail", ""))
        except (aiohttp.ClientError, ValueError, AttributeError):
            detail = ""
        raise UploadError(detail or f"the server answers with HTTP status {answer.status}")

    async def _pause(self, attempt: int) -> None:
        await asyncio.sleep(min(self._pause_s * 2**attempt, _LONGEST_PAUSE_S))


class _Body:
    """Some of the content, as the body of one request."""

    def __init__(self, pieces: Iterator[bytes], offset: int, on_progress: OnProgress) -> None:
        self._pieces = pieces
        self._offset = offset
        self._on_progress = on_progress
        self.is_last = False

    async def read(self) -> AsyncIterator[bytes]:
        sent = 0
        while sent < _BATCH_BYTES:
            batch = await asyncio.to_thread(lambda: list(islice(self._pieces, 4)))
            if not batch:
                self.is_last = True
                return
            for piece in batch:
                yield piece
                sent += len(piece)
                self._on_progress(self._offset + sent)
