"""What strangers send as identifiers and steps: a definite answer, and the association goes on."""

from __future__ import annotations

import asyncio
import random
import struct

import pytest
from pydicom.dataset import Dataset

from heimdallr.worklist.v1 import worklist_service_pb2 as pb
from tests.gateway.procedure_steps.conftest import Door
from tests.gateway.procedure_steps.test_performed import CREATE, PERFORMED, SET, STEP, begins, ends
from tests.gateway.procedure_steps.test_worklist_find import WORKLIST, query, schedule
from tests.support.requester import EXPLICIT, Requester, encoded

pytestmark = pytest.mark.postgres
FIND = 0x0020
DEFINITE = {0x0000, 0x0106, 0x0110, 0x0120, 0x0121, 0xA900}


def answer(scu: Requester, field: int, sop_class: str, data: bytes, context_id: int) -> int:
    uids = {CREATE: {0x1000: STEP.encode() + b"\0"}, SET: {0x1001: STEP.encode() + b"\0"}}
    scu.request(field, sop_class, data, context_id=context_id, more=uids.get(field))
    return scu.answers()[-1].status


def nested(depth: int) -> bytes:
    """Return sequences within sequences, of undefined length, that never end."""
    return b"\x40\x00\x00\x01SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * depth


def mutated(seed: int) -> bytes:
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    data = bytearray(encoded(chance.choice((query(), begins(), ends()))))
    for _ in range(chance.randint(1, 12)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data[: chance.randint(1, len(data))])


async def test_broken_and_oversized_data_sets_get_a_definite_answer(door: Door) -> None:
    wide = Dataset()
    wide.ScheduledStepAttributesSequence = [Dataset() for _ in range(40_000)]
    hostile = [
        b"",
        b"\0",
        nested(3),
        nested(5000),
        b"\x10\x00\x10\x00PN" + struct.pack("<H", 0xFFFF),
        b"\x40\x00\x00\x01SQ\0\0" + struct.pack("<L", 0xFFFFFFF0),
        encoded(wide),
        *(mutated(seed) for seed in range(60)),
    ]

    def work() -> set[int]:
        with Requester(door.port) as scu:
            scu.associate([(1, WORKLIST, (EXPLICIT,)), (3, PERFORMED, (EXPLICIT,))])
            seen = set()
            for data in hostile:
                seen.add(answer(scu, FIND, WORKLIST, data, 1))
                seen.add(answer(scu, SET, PERFORMED, data, 3))
            return seen

    seen = await asyncio.to_thread(work)

    assert seen <= DEFINITE | {0x0112}


async def test_what_looks_like_a_path_or_a_statement_is_text(door: Door) -> None:
    await schedule(door)
    for text in ("../../etc/passwd", "'; DROP TABLE worklist.scheduled_step; --", "%", "_"):
        asked = query(ScheduledStationAETitle=text[:16], AccessionNumber=text[:16])

        def work(data: bytes = encoded(asked)) -> int:
            with Requester(door.port) as scu:
                scu.associate([(1, WORKLIST, (EXPLICIT,))])
                scu.request(FIND, WORKLIST, data)
                return len(scu.answers())

        assert await asyncio.to_thread(work) == 1
    left = await door.worklist.ListScheduledSteps(pb.ListScheduledStepsRequest())
    assert len(left.steps) == 2
