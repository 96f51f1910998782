"""Fetching from a real Orthanc into a real gateway."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from gateway.peers.peer import Peer, WebAddress
from gateway.sources.orthanc import Orthancs
from gateway.sources.orthanc_client import NotThereError, orthanc
from gateway.sources.settings import SourceSettings
from gateway.sources.work import SourceError, TurnEndedError, Work
from heimdallr.sources.v1 import sources_service_pb2 as pb
from tests.gateway.conftest import RunningGateway, Start
from tests.gateway.sources.conftest import HeldDouble, Registry, door
from tests.support.instances import ct_instance, part10
from tests.support.orthanc import RunningOrthanc, require_orthanc

pytestmark = pytest.mark.orthanc

SETTINGS = SourceSettings(timeout_s=10)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningOrthanc]:
    require_orthanc()
    with RunningOrthanc(options={"StableAge": 1}) as running:
        yield running


@pytest.fixture(autouse=True)
def emptied(server: RunningOrthanc) -> None:
    """Each test has the Orthanc to itself; its list of changes goes on."""
    for study in server.get("/studies"):
        url = f"http://127.0.0.1:{server.http_port}/studies/{study}"
        request = urllib.request.Request(url, method="DELETE")
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


@dataclass
class Directory:
    """The registry of peers."""

    peer: Peer

    async def by_id(self, peer_id: str) -> Peer:
        return self.peer


@dataclass
class Follower:
    """A gateway that follows the Orthanc, turn after turn."""

    gateway: RunningGateway
    registry: Registry
    held: HeldDouble
    peer: Peer
    cursor: str = ""

    async def turn(self, *, reconcile: bool = False, noticed: list[str] | None = None) -> Work:
        spec = pb.SourceSpec(name="orthanc", orthanc=pb.Orthanc(peer_id="x"))
        work = self.registry.work(
            spec, self.cursor, reconcile=reconcile, noticed_orthanc_ids=noticed or []
        )
        orthancs = Orthancs(Directory(self.peer), door(self.gateway), self.held, SETTINGS)  # type: ignore[arg-type]
        await orthancs.work(work)
        self.cursor = work.reached
        return work


@pytest.fixture
async def follower(server: RunningOrthanc, start_gateway: Start, registry: Registry) -> Follower:
    gateway = await start_gateway()
    peer = Peer("x", "orthanc", inside=True, web=WebAddress(server.dicomweb_url))
    return Follower(gateway, registry, HeldDouble(gateway), peer)


def put(server: RunningOrthanc, study: str, *numbers: int) -> list[str]:
    """Store instances in the Orthanc and return its ids of them."""
    return [
        server.post(
            "/instances",
            part10(
                ct_instance(
                    study_uid=study,
                    series_uid=f"{study}.1",
                    sop_instance_uid=f"{study}.1.{number}",
                    number=number,
                )
            ),
        )["ID"]
        for number in numbers
    ]


async def test_all_studies_are_reconciled_and_then_what_is_new_is_followed(
    server: RunningOrthanc, follower: Follower
) -> None:
    put(server, "1.2.1", 1, 2)
    put(server, "1.2.2", 1)

    first = await follower.turn(reconcile=True)
    second = await follower.turn()
    put(server, "1.2.2", 2, 3)
    put(server, "1.2.3", 1)
    third = await follower.turn(noticed=[])

    assert (first.counts.stored, first.reconciled) == (3, True)
    assert (second.counts.stored, second.counts.refused) == (0, 0)
    # The list of changes tells of new series at once, of more in an old one when it is stable.
    assert third.counts.stored >= 1
    assert set(follower.gateway.intake.rows) >= {"1.2.1.1.1", "1.2.1.1.2", "1.2.3.1.1"}
    assert all(closed.released for closed in follower.gateway.intake.closed)


async def test_what_is_here_already_is_not_fetched(
    server: RunningOrthanc, follower: Follower
) -> None:
    put(server, "1.3.1", 1, 2)
    await follower.turn(reconcile=True)
    put(server, "1.3.1", 3)

    work = await follower.turn(reconcile=True)

    assert work.counts.stored == 1
    assert follower.gateway.intake.duplicates == 0


async def test_a_notice_fetches_a_study_and_is_then_done(
    server: RunningOrthanc, follower: Follower
) -> None:
    await follower.turn(reconcile=True)
    put(server, "1.4.1", 1)
    [study] = server.get("/studies")
    gone = "0" * 8 + ("-" + "0" * 8) * 4

    work = await follower.turn(noticed=[gone, study])

    assert work.counts.stored == 1
    done = {one for kept in follower.registry.kept for one in kept.progress.done_orthanc_ids}
    assert done | set(work.done_notices) == {gone, study}


async def test_a_stable_study_is_confirmed_by_its_count(
    server: RunningOrthanc, follower: Follower
) -> None:
    put(server, "1.5.1", 1, 2, 3)
    [study] = server.get("/studies")
    async with asyncio.timeout(20):
        while not server.get(f"/studies/{study}")["IsStable"]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    await follower.turn(reconcile=True)

    assert follower.held.confirmed == {"1.5.1": 3}


async def test_a_turn_that_broke_off_goes_on_where_it_was(
    server: RunningOrthanc, follower: Follower
) -> None:
    for number in range(5):
        put(server, f"1.6.{number}", 1)
    follower.registry.stop = True
    with pytest.raises(TurnEndedError):
        await follower.turn(reconcile=True)
    # Everything told was stored before it was told.
    told = follower.registry.kept[-1].progress
    assert len(follower.gateway.intake.rows) >= told.counts.stored

    follower.registry.stop = False
    follower.cursor = told.cursor
    await follower.turn()

    assert set(follower.gateway.intake.rows) == {f"1.6.{number}.1.1" for number in range(5)}


async def test_an_orthanc_with_another_database_is_begun_anew(
    server: RunningOrthanc, follower: Follower
) -> None:
    put(server, "1.7.1", 1)
    follower.cursor = json.dumps({"seq": 10**9, "page": -1, "seq_after": 0})

    work = await follower.turn()

    assert (work.counts.stored, work.reconciled) == (1, True)


async def test_what_is_no_orthanc_is_told(server: RunningOrthanc, follower: Follower) -> None:
    follower.peer = Peer("x", "off", inside=True, web=WebAddress("http://127.0.0.1:9/x"))
    with pytest.raises(SourceError, match="does not answer"):
        await follower.turn()

    async with orthanc(
        Peer("x", "here", inside=True, web=WebAddress(server.dicomweb_url)), "/nowhere", SETTINGS
    ) as client:
        with pytest.raises(NotThereError):
            await client.version()
