"""Requests and answers of WADO-RS."""

from __future__ import annotations

from email.message import Message
from email.parser import BytesParser
from io import BytesIO
from pathlib import Path

import aiohttp
import pydicom
from pydicom.data import get_testdata_file

from tests.gateway.dicomweb.conftest import Dicomweb, path_of

EXPLICIT = "1.2.840.10008.1.2.1"
RLE = "1.2.840.10008.1.2.5"


def file_of(name: str) -> bytes:
    return Path(str(get_testdata_file(name))).read_bytes()


def parts(answer: aiohttp.ClientResponse, body: bytes) -> list[tuple[str, bytes]]:
    """Take an answer apart with somebody else's parser."""
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    message: Message = BytesParser().parsebytes(head + body)
    found = []
    for part in message.walk():
        if not part.is_multipart():
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            found.append((str(part["Content-Type"]), content))
    return found


async def sent(dicomweb: Dicomweb, name: str) -> tuple[str, pydicom.Dataset]:
    instance = pydicom.dcmread(BytesIO(file_of(name)))
    # Some of them were made anonymous without their file meta information, which is refused.
    instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
    file = BytesIO()
    instance.save_as(file)
    status, outcome = await dicomweb.store(file.getvalue())
    assert status == 200, outcome
    return path_of(instance), instance
