"""C-STORE and C-ECHO through a real socket."""

from __future__ import annotations

import asyncio

from tests.gateway.conftest import Start, until
from tests.support.instances import ct_instance, encoded
from tests.support.scu import CT, EXPLICIT, Scu


async def test_an_instance_is_durable_and_indexed_before_success(start_gateway: Start) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()

    def send() -> int:
        with Scu(gateway.port) as scu:
            scu.associate([(1, CT, (EXPLICIT,))])
            status = scu.store(encoded(dataset), dataset.SOPInstanceUID)
            scu.release()
            return status

    status = await asyncio.to_thread(send)

    assert status == 0x0000
    sha256 = gateway.intake.rows[dataset.SOPInstanceUID]
    stored = (gateway.blobs / sha256[:2] / sha256).read_bytes()
    assert stored.endswith(encoded(dataset))
    assert stored[:128] == bytes(128)
    await until(lambda: bool(gateway.intake.closed))
    assert gateway.intake.closed[0].released
    assert gateway.intake.closed[0].instance_count == 1
