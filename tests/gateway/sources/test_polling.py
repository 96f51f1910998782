from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest

from gateway.sources.polling import Fetched, Polling
from gateway.sources.work import SourceError
from heimdallr.sources.v1 import sources_service_pb2 as pb
from tests.gateway.sources.conftest import Registry

TODAY = date(2026, 3, 10)


@dataclass
class Peer:
    """A peer with studies by day; it lists at most three at once."""

    studies_by_day: dict[date, list[str]]
    counts: dict[str, int] = field(default_factory=dict)
    says_counts: bool = True
    asked: list[tuple[date, date, str]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    gives: int = 99

    async def studies(
        self, first: date, last: date, modality: str
    ) -> AsyncIterator[tuple[list[str], bool]]:
        self.asked.append((first, last, modality))
        found = [
            uid for day, uids in self.studies_by_day.items() if first <= day <= last for uid in uids
        ]
        matches = []
        for uid in found[:3]:
            match: dict[str, Any] = {"0020000D": {"vr": "UI", "Value": [uid]}}
            if self.says_counts:
                match["00201208"] = {"vr": "IS", "Value": [self.counts[uid]]}
            matches.append(json.dumps(match))
        yield matches, len(found) > 3

    async def instances(self, study_instance_uid: str) -> AsyncIterator[list[str]]:
        yield [
            json.dumps({"00080018": {"vr": "UI", "Value": [f"{study_instance_uid}.{number}"]}})
            for number in range(self.counts[study_instance_uid])
        ]

    async def fetch(self, study_instance_uid: str) -> Fetched:
        self.fetched.append(study_instance_uid)
        return Fetched(stored=min(self.gives, self.counts[study_instance_uid]))


@dataclass
class Archive:
    here: dict[str, set[str]] = field(default_factory=dict)
    confirmed: list[tuple[str, int]] = field(default_factory=list)

    async def instances(self, study_instance_uid: str) -> set[str]:
        return self.here.get(study_instance_uid, set())

    async def confirm(self, study_instance_uid: str, source: str, count: int) -> None:
        self.confirmed.append((study_instance_uid, count))


def spec(days_back: int = 3, *modalities: str) -> pb.SourceSpec:
    wanted = pb.Filter(days_back=days_back, modalities=modalities)
    return pb.SourceSpec(name="pacs", qido=pb.QidoPolling(filter=wanted))


async def look(
    registry: Registry, peer: Peer, archive: Archive, wanted: pb.SourceSpec, cursor: str = ""
) -> tuple[pb.Counts, str]:
    work = registry.work(wanted, cursor)
    polling = Polling(archive, lambda _: peer, lambda: TODAY)  # type: ignore[arg-type]
    await polling.work(work)
    return work.counts, work.reached


@pytest.mark.parametrize("says_counts", [True, False])
async def test_only_what_lacks_is_fetched(registry: Registry, says_counts: bool) -> None:
    peer = Peer({TODAY: ["1.1", "1.2"]}, {"1.1": 2, "1.2": 2}, says_counts)
    archive = Archive({"1.1": {"1.1.0", "1.1.1"}, "1.2": {"1.2.0"}})

    counts, _ = await look(registry, peer, archive, spec())

    assert peer.fetched == ["1.2"]
    assert (counts.studies, counts.stored, counts.known) == (2, 2, 2)
    assert sorted(archive.confirmed) == [("1.1", 2), ("1.2", 2)]


async def test_other_instances_do_not_make_up_for_those_that_lack(registry: Registry) -> None:
    peer = Peer({TODAY: ["1.1"]}, {"1.1": 2}, says_counts=False)
    archive = Archive({"1.1": {"9.0", "9.1"}})

    await look(registry, peer, archive, spec())

    assert peer.fetched == ["1.1"]


async def test_many_studies_are_listed_by_fewer_days_at_once(registry: Registry) -> None:
    by_day = {date(2026, 3, day): [f"1.{day}.{n}" for n in range(2)] for day in range(7, 12)}
    peer = Peer(by_day, {uid: 1 for uids in by_day.values() for uid in uids})

    counts, _ = await look(registry, peer, Archive(), spec(4))

    assert counts.studies == 10
    assert sorted(peer.fetched) == sorted(uid for uids in by_day.values() for uid in uids)


async def test_a_day_with_more_than_can_be_listed_is_told(registry: Registry) -> None:
    peer = Peer({TODAY: [f"1.{n}" for n in range(5)]}, {f"1.{n}": 1 for n in range(5)})

    with pytest.raises(SourceError, match="one day"):
        await look(registry, peer, Archive(), spec())


async def test_each_modality_is_asked_for(registry: Registry) -> None:
    peer = Peer({TODAY: ["1.1"]}, {"1.1": 1})

    counts, _ = await look(registry, peer, Archive(), spec(1, "CT", "MR"))

    assert [modality for *_, modality in peer.asked] == ["CT", "MR"]
    assert counts.studies == 1


async def test_what_is_not_to_be_had_is_fetched_once_a_day(registry: Registry) -> None:
    peer = Peer({TODAY: ["1.1"]}, {"1.1": 5}, gives=2)
    _, cursor = await look(registry, peer, Archive(), spec())
    await look(registry, peer, Archive(), spec(), cursor)
    assert peer.fetched == ["1.1"]

    peer.counts["1.1"] = 6
    await look(registry, peer, Archive(), spec(), cursor)
    yesterday = cursor.replace("2026-03-10", "2026-03-09")
    await look(registry, peer, Archive(), spec(), yesterday)

    assert peer.fetched == ["1.1"] * 3


async def test_what_a_peer_says_is_not_believed(registry: Registry) -> None:
    class Liar(Peer):
        async def studies(
            self, first: date, last: date, modality: str
        ) -> AsyncIterator[tuple[list[str], bool]]:
            evil = '{"0020000D": {"vr": "UI", "Value": ["../../etc"]}}'
            yield ["[]", "no json", '{"0020000D": 7}', evil, "[" * 100_000], False

    peer = Liar({})

    counts, _ = await look(registry, peer, Archive(), spec())

    assert (counts.studies, peer.fetched) == (0, [])
