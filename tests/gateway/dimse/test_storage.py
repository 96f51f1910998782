"""C-STORE and C-ECHO through a real socket: statuses, and what is behind them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import TypeVar

import pytest
from pydicom.uid import generate_uid

from gateway.dimse import pdu
from tests.gateway.conftest import RunningGateway, Start, until
from tests.support.instances import ct_instance, encoded
from tests.support.scu import (
    CT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    Scu,
    command_set,
    comment_of,
    data_pdus,
    status_of,
    store_command,
)

T = TypeVar("T")
MR = "1.2.840.10008.5.1.4.1.1.4"


async def over(gateway: RunningGateway, work: Callable[[Scu], T], syntax: str = EXPLICIT) -> T:
    """Run blocking work over an established association."""

    def run() -> T:
        with Scu(gateway.port) as scu:
            scu.associate([(1, CT, (syntax,)), (3, VERIFICATION, (IMPLICIT,))])
            return work(scu)

    return await asyncio.to_thread(run)


async def store_control(gateway: RunningGateway) -> int:
    """Store a healthy instance."""
    control = ct_instance()
    return await over(gateway, lambda scu: scu.store(encoded(control), control.SOPInstanceUID))


async def test_an_instance_is_durable_and_indexed_before_success(start_gateway: Start) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()

    def send(scu: Scu) -> tuple[int, int]:
        return scu.store(encoded(dataset), dataset.SOPInstanceUID), scu.release()

    status, answer = await over(gateway, send)

    assert (status, answer) == (0x0000, 0x06)
    sha256 = gateway.intake.rows[dataset.SOPInstanceUID]
    stored = (gateway.blobs / sha256[:2] / sha256).read_bytes()
    assert stored.endswith(encoded(dataset))
    assert stored[:132] == bytes(128) + b"DICM"
    await until(lambda: bool(gateway.intake.closed))
    assert gateway.intake.closed[0].released
    assert gateway.intake.closed[0].instance_count == 1
    assert gateway.intake.closed[0].source.calling_ae_title == "TESTSCU"


async def test_the_envelope_carries_the_index_attributes(start_gateway: Start) -> None:
    gateway = await start_gateway()
    dataset = ct_instance(number=7)

    await over(gateway, lambda scu: scu.store(encoded(dataset), dataset.SOPInstanceUID))

    attributes = gateway.intake.instances[0].attributes
    assert attributes.study_instance_uid == dataset.StudyInstanceUID
    assert attributes.patient_name == "PHANTOM^GATEWAY"
    assert attributes.instance_number == 7
    assert (attributes.rows, attributes.columns) == (64, 64)
    assert attributes.transfer_syntax_uid == EXPLICIT
    assert not attributes.HasField("number_of_frames")


async def test_the_same_data_set_gives_the_same_bytes_over_any_association(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()
    data = encoded(dataset)

    for fragment_bytes in (16000, 1001):
        await over(
            gateway,
            lambda scu, size=fragment_bytes: scu.store(  # type: ignore[misc]
                data, dataset.SOPInstanceUID, fragment_bytes=size
            ),
        )

    assert len(gateway.intake.rows) == 1
    assert gateway.intake.duplicates == 1
    assert gateway.intake.conflicts == []


async def test_an_instance_larger_than_memory_keeps_is_spilled_and_whole(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway()
    dataset = ct_instance(size=1500)

    status = await over(
        gateway,
        lambda scu: scu.store(encoded(dataset), dataset.SOPInstanceUID, fragment_bytes=100_000),
    )

    assert status == 0x0000
    sha256 = gateway.intake.rows[dataset.SOPInstanceUID]
    stored = (gateway.blobs / sha256[:2] / sha256).read_bytes()
    assert stored.endswith(encoded(dataset))


async def test_echo_succeeds_and_is_no_departure(start_gateway: Start) -> None:
    gateway = await start_gateway()
    echo = command_set(
        {
            0x0002: VERIFICATION.encode() + b"\0",
            0x0100: struct.pack("<H", 0x30),
            0x0110: struct.pack("<H", 5),
            0x0800: struct.pack("<H", 0x0101),
        }
    )

    def send(scu: Scu) -> int:
        scu.send(pdu.encode_data(3, echo, is_command=True, is_last=True))
        status = scu.status()
        scu.release()
        return status

    assert await over(gateway, send) == 0x0000
    assert gateway.intake.closed == []


@pytest.mark.parametrize(
    ("sop_class", "sop_instance", "expected"),
    [
        (MR, "1.2.3", 0xA900),  # not the class of the context
        (CT, "1.2.3", 0xA900),  # not the instance of the data set
        (CT, "../../../x", 0x0117),
        (CT, "tmp/evil", 0x0117),
        (CT, "1.2.3\0b", 0x0117),
        (CT, "1." + "2" * 64, 0x0117),
        (CT, "letters", 0x0117),
        (CT, "", 0x0117),
    ],
)
async def test_what_the_command_announces_has_to_be_true(
    start_gateway: Start, sop_class: str, sop_instance: str, expected: int
) -> None:
    gateway = await start_gateway()
    before = {path for path in gateway.folder.rglob("*") if path.is_file()}

    def send(scu: Scu) -> tuple[int, int]:
        dataset = ct_instance()
        refused = scu.store(encoded(dataset), sop_instance, sop_class)
        return refused, scu.store(encoded(dataset), dataset.SOPInstanceUID)

    refused, control = await over(gateway, send)

    assert (refused, control) == (expected, 0x0000)
    assert len(gateway.intake.rows) == 1
    made = {path for path in gateway.folder.rglob("*") if path.is_file()} - before
    names = {path.stem for path in made}
    assert all(len(name) == 64 and int(name, 16) for name in names)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI", "ignore:The value length")
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("SOPInstanceUID", "../../../x"),
        ("StudyInstanceUID", "..\\x"),
        ("SeriesInstanceUID", "1." + "2" * 64),
        ("StudyInstanceUID", ""),
        ("SOPInstanceUID", "letters"),
    ],
)
async def test_uids_of_the_data_set_are_checked_too(
    start_gateway: Start, keyword: str, value: str
) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()
    announced = str(dataset.SOPInstanceUID)
    setattr(dataset, keyword, value)
    data = encoded(dataset)

    status = await over(gateway, lambda scu: scu.store(data, announced))

    assert status in (0xA900, 0xC000)
    assert gateway.intake.rows == {}
    assert await store_control(gateway) == 0x0000


async def test_a_truncated_data_set_is_refused_wherever_it_is_cut(start_gateway: Start) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()
    data = encoded(dataset)

    def send(scu: Scu) -> list[int]:
        cuts = [len(data) * tenth // 10 for tenth in range(10)] + [len(data) - 1]
        return [scu.store(data[:cut], dataset.SOPInstanceUID) for cut in cuts]

    statuses = await over(gateway, send)

    assert set(statuses) <= {0xC000, 0xA900}
    assert gateway.intake.rows == {}
    assert await store_control(gateway) == 0x0000


async def test_what_is_refused_is_in_quarantine_with_its_reason(start_gateway: Start) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()
    data = encoded(dataset)[:-100]

    await over(gateway, lambda scu: scu.store(data, dataset.SOPInstanceUID))

    kept = list(gateway.quarantine.glob("*.dcm"))
    reason = kept[0].with_suffix(".json").read_text()
    assert len(kept) == 1
    assert kept[0].read_bytes().endswith(data)
    assert "PixelData" in reason
    assert "PHANTOM" not in reason


async def test_the_wrong_transfer_syntax_is_refused(start_gateway: Start) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()
    data = encoded(dataset, implicit=True)

    status = await over(gateway, lambda scu: scu.store(data, dataset.SOPInstanceUID))

    assert status == 0xC000


async def test_error_comments_carry_no_value(start_gateway: Start) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()
    data = encoded(dataset)[:-100]

    def send(scu: Scu) -> str:
        command = store_command(dataset.SOPInstanceUID)
        scu.send(pdu.encode_data(1, command, is_command=True, is_last=True))
        scu.send(b"".join(data_pdus(data)))
        return comment_of(scu.receive()[1])

    comment = await over(gateway, send)

    assert comment.startswith("PixelData: ")
    assert len(comment) <= 64
    assert "PHANTOM" not in comment


async def test_the_coordinators_refusal_is_told(start_gateway: Start) -> None:
    gateway = await start_gateway()
    gateway.intake.reject_rule = "not wanted"
    dataset = ct_instance()

    status = await over(gateway, lambda scu: scu.store(encoded(dataset), dataset.SOPInstanceUID))

    assert status == 0xC000
    assert not list(gateway.journal.glob("*.journal"))


async def test_other_bytes_under_the_same_uid_are_kept_and_acknowledged(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway()
    uid = generate_uid()

    def send(scu: Scu) -> list[int]:
        twins = [ct_instance(sop_instance_uid=uid, seed=seed) for seed in (1, 2)]
        return [scu.store(encoded(twin), uid) for twin in twins]

    assert await over(gateway, send) == [0x0000, 0x0000]
    assert len(gateway.intake.conflicts) == 1
    sha256 = gateway.intake.conflicts[0]
    assert (gateway.blobs / sha256[:2] / sha256).exists()


async def test_fifty_senders_of_one_instance_make_one_row(start_gateway: Start) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()
    data = encoded(dataset)

    statuses = await asyncio.gather(
        *(over(gateway, lambda scu: scu.store(data, dataset.SOPInstanceUID)) for _ in range(50))
    )

    assert set(statuses) == {0x0000}
    assert len(gateway.intake.rows) == 1
    assert gateway.intake.duplicates == 49
    assert gateway.intake.conflicts == []


async def test_no_room_is_a700_and_leaves_nothing_behind(start_gateway: Start) -> None:
    gateway = await start_gateway(free_bytes=1 << 60)
    dataset = ct_instance()

    status = await over(gateway, lambda scu: scu.store(encoded(dataset), dataset.SOPInstanceUID))

    assert status == 0xA700
    assert not list((gateway.blobs / "incoming").iterdir())
    assert gateway.intake.rows == {}


async def test_an_unknown_operation_is_answered_and_its_data_passed_over(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway()
    find = command_set(
        {
            0x0002: CT.encode() + b"\0",
            0x0100: struct.pack("<H", 0x20),
            0x0110: struct.pack("<H", 9),
            0x0800: struct.pack("<H", 1),
        }
    )

    def send(scu: Scu) -> tuple[int, int]:
        scu.send(pdu.encode_data(1, find, is_command=True, is_last=True))
        scu.send(b"".join(data_pdus(b"x" * 50_000)))
        first = status_of(scu.receive()[1])
        dataset = ct_instance()
        return first, scu.store(encoded(dataset), dataset.SOPInstanceUID)

    assert await over(gateway, send) == (0x0211, 0x0000)
