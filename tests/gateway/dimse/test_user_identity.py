"""Users of peers: passed over, or people whose password is checked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import grpc
import pytest

from gateway.dimse import pdu
from gateway.dimse.identity import read_identity
from gateway.dimse.settings import DicomSettings
from tests.gateway.conftest import Start, until
from tests.support.dcmtk import require_dcmtk, storescu
from tests.support.instances import ct_instance, part10
from tests.support.scu import CT, EXPLICIT, Scu, associate_request

NAME, PASSWORD = b"radiographer", b"a password of theirs"
NO_REASON, CONGESTION = bytes((0, 1, 1, 1)), bytes((0, 2, 3, 1))
PASSCODE, TOKEN = 2, 5
REJECTED = 3
NO_ALGORITHM = b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJyYWRpb2dyYXBoZXIifQ."


def identity(kind: int, primary: bytes, secondary: bytes = b"", *, answer: bool = False) -> bytes:
    value = bytes((kind, answer)) + pdu.sized(primary) + pdu.sized(secondary)
    return pdu.encode_item(0x58, value)


async def asked(port: int, user_items: bytes = b"") -> tuple[int, bytes]:
    """Ask for an association and return the type and body of the answer."""

    def ask() -> tuple[int, bytes]:
        with Scu(port) as scu:
            scu.send(associate_request([(1, CT, (EXPLICIT,))], user_items=user_items))
            return scu.receive()

    return await asyncio.to_thread(ask)


def policy(user_identity: Literal["ignore", "check", "require"]) -> DicomSettings:
    return DicomSettings(user_identity=user_identity)


@pytest.mark.parametrize(
    "user_items",
    [
        identity(PASSCODE, NAME, b"wrong"),
        identity(PASSCODE, b"nobody", PASSWORD),
        identity(PASSCODE, b"\xff\xfe", PASSWORD),
        identity(1, NAME),
        identity(TOKEN, NO_ALGORITHM),
        identity(PASSCODE, b"n" * 2000, PASSWORD),
        pdu.encode_item(0x58, b"\x02\x00\x00\xff"),
        pdu.encode_item(0x58, b"\x02"),
    ],
    ids=["password", "name", "bytes", "name alone", "token", "long", "cut off", "no lengths"],
)
async def test_what_is_no_person_is_refused_and_in_the_trail(
    start_gateway: Start, user_items: bytes
) -> None:
    gateway = await start_gateway(dicom=policy("check"))

    kind, body = await asked(gateway.port, user_items)

    assert (kind, body) == (REJECTED, NO_REASON)
    await until(lambda: len(gateway.coordinator.audit.denied) == 1)
    assert (await asked(gateway.port))[0] == pdu.ASSOCIATE_AC


async def test_a_person_is_let_in_and_told_so_if_asked(start_gateway: Start) -> None:
    gateway = await start_gateway(dicom=policy("require"))

    silent = await asked(gateway.port, identity(PASSCODE, NAME, PASSWORD))
    told = await asked(gateway.port, identity(PASSCODE, NAME, PASSWORD, answer=True))

    accepted = pdu.encode_item(0x59, pdu.sized(b""))
    assert silent[0] == told[0] == pdu.ASSOCIATE_AC
    assert accepted not in silent[1]
    assert told[1].endswith(accepted)
    assert gateway.coordinator.access.asked == [NAME.decode()] * 2


async def test_who_names_nobody_is_refused_where_a_name_is_required(start_gateway: Start) -> None:
    gateway = await start_gateway(dicom=policy("require"))

    assert await asked(gateway.port) == (REJECTED, NO_REASON)


async def test_by_default_nobody_is_asked_and_nothing_is_confirmed(start_gateway: Start) -> None:
    gateway = await start_gateway()

    kind, body = await asked(gateway.port, identity(PASSCODE, b"x", b"y", answer=True))

    assert kind == pdu.ASSOCIATE_AC
    assert pdu.encode_item(0x59, pdu.sized(b"")) not in body
    assert gateway.coordinator.access.asked == []


async def test_nobody_is_turned_away_for_good_because_we_cannot_check(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway(dicom=policy("check"))
    gateway.coordinator.access.failure = grpc.StatusCode.UNAVAILABLE

    kind, body = await asked(gateway.port, identity(PASSCODE, NAME, PASSWORD))

    assert (kind, body) == (REJECTED, CONGESTION)


@pytest.mark.dcmtk
async def test_dcmtk_stores_with_the_right_password_alone(
    start_gateway: Start, tmp_path: Path
) -> None:
    require_dcmtk()
    gateway = await start_gateway(dicom=policy("require"))
    file = tmp_path / "instance.dcm"
    file.write_bytes(part10(ct_instance()))
    wrong = ("-usr", NAME.decode(), "-pwd", "wrong", "-rsp")
    right = ("-usr", NAME.decode(), "-pwd", PASSWORD.decode(), "-rsp")

    refused = await asyncio.to_thread(storescu, gateway.port, [file], *wrong)
    stored = await asyncio.to_thread(storescu, gateway.port, [file], *right)

    assert refused.returncode != 0
    assert stored.returncode == 0, stored.stderr
    assert len(gateway.intake.rows) == 1


def test_a_password_is_in_no_text_of_ours() -> None:
    item = identity(PASSCODE, NAME, PASSWORD)[4:]

    assert "password" not in repr(read_identity(memoryview(item)))
