"""What the gateway counts, of peers that behave and of peers that do not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.runtime.metrics_endpoint import exposed
from tests.gateway.conftest import RunningGateway, Start, until
from tests.support.instances import ct_instance, encoded
from tests.support.scrapes import Scrape, scrape
from tests.support.scu import CT, EXPLICIT, Scu

ASSOCIATE_RJ = 0x03
OUTCOMES = {"released", "rejected", "aborted", "gone", "silent", "not_dicom", "stopped"}
INSTANCE_OUTCOMES = {"stored", "refused", "failed"}


class Counted:
    """Scrapes before and after, and what lies between them."""

    def __init__(self, before: Scrape) -> None:
        self.before = self.after = before

    def gained(self, name: str, **labels: str) -> float:
        return self.after.value(name, **labels) - self.before.value(name, **labels)


@asynccontextmanager
async def counting(gateway: RunningGateway) -> AsyncIterator[Counted]:
    at = gateway.folder / "m.sock"
    async with exposed(f"unix:{at}", [gateway.gateway.gather]):
        counted = Counted(await scrape(at))
        yield counted
        async with asyncio.timeout(10):
            while (await scrape(at)).value("heimdallr_associations_open"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        counted.after = await scrape(at)


def send(port: int, *, uid: str | None = None, release: bool = True) -> int:
    dataset = ct_instance()
    with Scu(port) as scu:
        scu.associate([(1, CT, (EXPLICIT,))])
        status = scu.store(encoded(dataset), uid or dataset.SOPInstanceUID)
        if release:
            scu.release()
        return status


async def test_an_instance_that_is_stored_is_counted_with_its_bytes(start_gateway: Start) -> None:
    gateway = await start_gateway()

    async with counting(gateway) as counted:
        assert await asyncio.to_thread(send, gateway.port) == 0x0000

    assert counted.gained("heimdallr_instances_received_total", outcome="stored") == 1
    assert counted.gained("heimdallr_instance_bytes_total") > 1000
    assert counted.gained("heimdallr_associations_total", outcome="released") == 1
    assert counted.after.value("heimdallr_gateway_online") == 1
    assert counted.after.value("heimdallr_journal_seconds") == 0


async def test_what_is_refused_is_counted_as_refused(start_gateway: Start) -> None:
    gateway = await start_gateway()

    async with counting(gateway) as counted:
        assert await asyncio.to_thread(send, gateway.port, uid="1.2.3") != 0x0000

    assert counted.gained("heimdallr_instances_received_total", outcome="refused") == 1
    assert counted.gained("heimdallr_instances_received_total", outcome="stored") == 0
    assert counted.gained("heimdallr_instance_bytes_total") == 0


async def test_an_association_that_is_not_accepted_is_counted_as_rejected(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway(ae_title="SOMEBODY", require_called_ae_title=True)

    def ask() -> int:
        with Scu(gateway.port) as scu:
            return scu.associate()[0]

    async with counting(gateway) as counted:
        assert await asyncio.to_thread(ask) == ASSOCIATE_RJ
        await asyncio.sleep(0.1)

    assert counted.gained("heimdallr_associations_total", outcome="rejected") == 1


async def test_the_journal_s_size_and_age_are_told_while_the_coordinator_is_away(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway(online=False)

    async with counting(gateway) as counted:
        assert await asyncio.to_thread(send, gateway.port) == 0x0000
        await asyncio.sleep(0.05)

    assert counted.after.value("heimdallr_gateway_online") == 0
    assert counted.after.value("heimdallr_journal_bytes") > 100
    assert 0 < counted.after.value("heimdallr_journal_seconds") < 10

    await gateway.server.start()
    await until(lambda: gateway.gateway.intake.is_online)
    async with counting(gateway) as later:
        await asyncio.sleep(0)
    assert later.after.value("heimdallr_journal_seconds") == 0


async def test_labels_are_a_closed_vocabulary_whatever_peers_do(start_gateway: Start) -> None:
    gateway = await start_gateway()

    def misbehave(data: bytes) -> None:
        with socket.create_connection(("127.0.0.1", gateway.port), 5) as peer:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(4096):
                pass

    async with counting(gateway) as counted:
        for data in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x01\x00\xff\xff\xff\xff", bytes(4000)):
            await asyncio.to_thread(misbehave, data)
        for number in range(20):
            await asyncio.to_thread(send, gateway.port, uid=f"DOE^JOHN{number}")
        await asyncio.to_thread(send, gateway.port, release=False)
        await asyncio.sleep(0.1)

    found = {
        family.name: {sample.labels["outcome"] for sample in family.samples if sample.labels}
        for family in counted.after.families.values()
        if family.name in ("heimdallr_associations", "heimdallr_instances_received")
    }
    assert found["heimdallr_associations"] <= OUTCOMES
    assert found["heimdallr_instances_received"] <= INSTANCE_OUTCOMES
    assert counted.gained("heimdallr_instances_received_total", outcome="refused") == 20
    assert counted.gained("heimdallr_associations_total", outcome="not_dicom") >= 1
    text = str(counted.after.families)
    assert "DOE" not in text
    assert "TESTSCU" not in text
