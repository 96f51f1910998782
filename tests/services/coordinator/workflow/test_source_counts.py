"""Asking those who sent a study how much of it there is."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from services.coordinator.workflow.completeness import CompletenessRules
from services.coordinator.workflow.manifests import Manifests
from services.coordinator.workflow.peer_counts import number_of
from services.coordinator.workflow.source_counts import SourceCounts
from services.runtime.migrate import apply
from services.runtime.postgres import Pool
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.workflow.workshop import open_workshop

STUDY = "1.2.1"
RULES = CompletenessRules(timedelta(seconds=600), timedelta(0), timedelta(seconds=600))


@dataclass
class Peers:
    """Peers that answer, or do not."""

    counts: dict[str, int | None] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def count(self, ae_title: str, study_instance_uid: str) -> tuple[str, int] | None:
        self.asked.append((ae_title, study_instance_uid))
        found = self.counts.get(ae_title)
        return None if found is None else (ae_title.lower(), found)


async def from_peer(pool: Pool, association_id: str, ae_title: str) -> None:
    await pool.execute(
        "INSERT INTO intake.association (association_id, door, calling_ae_title,"
        " called_ae_title, peer_address) VALUES ($1, 'dimse', $2, '', '')",
        association_id,
        ae_title,
    )


@pytest.mark.postgres
async def test_a_study_is_complete_when_its_sender_has_as_many_and_asked_again_when_it_grows(
    database: Pool, mesh_address: str
) -> None:
    await apply(database, ["services.coordinator.intake"])
    workshop = open_workshop(database, mesh_address, rules=RULES)
    peers = Peers({"PACS": 2})
    counts = SourceCounts(database, Manifests(database), peers, timedelta(0))
    first, second = arrival(), arrival(number=2, data=b"2")
    await from_peer(database, first.association_id, "PACS")
    study_id = await workshop.receive(first)

    confirmed = [await counts.ask(), await counts.ask()]
    waiting = await workshop.views.study_workflow(study_id)
    await workshop.receive(second)
    confirmed.append(await counts.ask())
    judged = await workshop.completeness.judge()
    complete = await workshop.views.study_workflow(study_id)
    await workshop.channel.close()

    assert confirmed == [0, 0, 1]
    assert peers.asked == [("PACS", STUDY)] * 2
    # A peer that holds more may have meant to send a part: nobody waits for that.
    assert not waiting.HasField("announcement")
    assert judged == 1
    assert complete.evidence == archive_pb.EVIDENCE_COUNT


@pytest.mark.postgres
async def test_a_sender_that_answers_no_queries_is_left_alone_for_a_while(
    database: Pool, mesh_address: str
) -> None:
    await apply(database, ["services.coordinator.intake"])
    workshop = open_workshop(database, mesh_address, rules=RULES)
    peers = Peers({"CT1": None})
    counts = SourceCounts(database, Manifests(database), peers, timedelta(0))
    for number in range(3):
        one = arrival(study(f"1.2.{number}"), data=b"%d" % number)
        await from_peer(database, one.association_id, "CT1")
        await workshop.receive(one)
        assert await counts.ask() == 0
    await workshop.channel.close()

    assert len(peers.asked) == 1


@pytest.mark.postgres
async def test_a_sender_that_never_answers_holds_nobody_up(
    database: Pool, mesh_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await apply(database, ["services.coordinator.intake"])
    monkeypatch.setattr("services.coordinator.workflow.source_counts._ANSWER_S", 0.05)
    workshop = open_workshop(database, mesh_address, rules=RULES)

    class Hanging:
        async def count(self, _title: str, _study: str) -> tuple[str, int] | None:
            await asyncio.Event().wait()
            return None

    one = arrival()
    await from_peer(database, one.association_id, "CT1")
    await workshop.receive(one)
    counts = SourceCounts(database, Manifests(database), Hanging(), timedelta(0))
    async with asyncio.timeout(10):
        assert await counts.ask() == 0
    await workshop.channel.close()


def test_only_a_number_about_the_study_that_was_asked_for_counts() -> None:
    def match(uid: str, *values: object) -> str:
        return json.dumps({"0020000D": {"Value": [uid]}, "00201208": {"Value": list(values)}})

    assert number_of(match("1.2", 120), "1.2") == 120
    assert number_of(match("1.2", "120"), "1.2") == 120
    for wrong in (
        match("1.3", 120),
        match("1.2"),
        match("1.2", -1),
        match("1.2", 1 << 40),
        match("1.2", None),
        match("1.2", "many"),
        "[]",
        "no JSON",
    ):
        assert number_of(wrong, "1.2") == 0
