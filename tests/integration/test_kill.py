"""Anything may be killed at any moment: no acknowledged instance is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.events.v1 import events_service_pb2 as events_pb
from heimdallr.events.v1.events_service_pb2_grpc import EventsServiceStub
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from services.dicom.phantoms.series import PhantomStudy, phantom_study
from services.runtime.client import MeshChannel
from tests.support.running_stack import RunningStack
from tests.support.sender import Modality
from tests.support.studies import operator_channel, settled, workflow

pytestmark = [
    pytest.mark.stack,
    pytest.mark.triton,
    pytest.mark.timeout(900),
    # pynetdicom leaves the socket of a refused connection to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

STUDIES: Final = 20
VICTIMS: Final = (
    "coordinator",
    "gateway",
    "conversion",
    "analysis",
    "reporting",
    "deid",
    "envoy",
    "triton",
    "postgres",
)
SENDING_S: Final = 300
SMALL: Final = (24, 64, 64)


@pytest.fixture
def stack() -> Iterator[RunningStack]:
    with RunningStack() as running:
        yield running


def _modalities(stack: RunningStack) -> dict[str, Modality]:
    deadline = time.monotonic() + SENDING_S
    studies = [PhantomStudy(patient_id=f"KILL-{seed}") for seed in range(STUDIES)]
    return {
        study.study_instance_uid: Modality(
            stack.dicom_port, phantom_study(seed, study, shape=SMALL), deadline
        )
        for seed, study in enumerate(studies)
    }


async def test_processes_killed_at_random_lose_nothing_and_finish_each_study_once(
    stack: RunningStack, figure: Callable[[str], None]
) -> None:
    modalities = _modalities(stack)
    chance = random.Random(20)  # noqa: S311 - moments of death, not secrets

    for modality in modalities.values():
        modality.start()
        await asyncio.sleep(0.1)
    for victim in (*VICTIMS, *VICTIMS):
        await asyncio.sleep(chance.uniform(0.3, 2.5))
        await asyncio.to_thread(stack.kill, victim)

    await _assert_all_ready_once(stack, modalities)
    sent = sum(len(m.acknowledged) for m in modalities.values())
    figure(f"kill -9 of {2 * len(VICTIMS)} processes: {sent} acknowledged instances, 0 lost")


async def test_a_minute_without_postgres_loses_nothing(
    stack: RunningStack, figure: Callable[[str], None]
) -> None:
    modalities = _modalities(stack)

    for modality in list(modalities.values())[: STUDIES // 2]:
        modality.start()
    await asyncio.sleep(1)
    # A stopped supervisor restarts nothing: the database stays away until it goes on.
    os.kill(stack.supervisor, signal.SIGSTOP)
    os.kill(stack.pid("postgres"), signal.SIGINT)
    for modality in list(modalities.values())[STUDIES // 2 :]:
        modality.start()
    await asyncio.sleep(60)
    meanwhile = sum(len(m.acknowledged) for m in modalities.values())
    os.kill(stack.supervisor, signal.SIGCONT)

    await _assert_all_ready_once(stack, modalities)
    figure(f"Postgres away for 60 s: {meanwhile} instances acknowledged meanwhile, 0 lost")


async def _assert_all_ready_once(stack: RunningStack, modalities: dict[str, Modality]) -> None:
    for modality in modalities.values():
        await asyncio.to_thread(modality.join, SENDING_S)
        assert len(modality.acknowledged) == len(modality.files)
    async with operator_channel(stack) as channel:
        for uid, modality in modalities.items():
            study = await settled(channel, uid, timeout_s=300)
            assert study.state == archive_pb.STUDY_STATE_READY, await _reasons(channel, study)
            assert await _stored(channel, study) == modality.acknowledged
            await _assert_stages_are_unique(channel, study)
        await _assert_ready_once(channel)


async def _stored(channel: MeshChannel, study: archive_pb.Study) -> set[str]:
    stub = ArchiveServiceStub(channel)
    series = (await stub.GetStudy(archive_pb.GetStudyRequest(study_id=study.study_id))).series
    uids: list[str] = []
    for one in series:
        listed = await stub.ListInstances(
            archive_pb.ListInstancesRequest(series_id=one.series_id, page_size=1000)
        )
        uids += [instance.attributes.sop_instance_uid for instance in listed.instances]
    assert len(uids) == len(set(uids)) == study.instance_count
    return set(uids)


async def _assert_stages_are_unique(channel: MeshChannel, study: archive_pb.Study) -> None:
    work = await workflow(channel, study.study_id)
    current = [stage for stage in work.stages if stage.generation == work.generation]
    names = Counter((stage.name, stage.series_id) for stage in current)
    assert set(names.values()) == {1}
    for stage in current:
        done = [attempt for attempt in stage.attempts if attempt.outcome == "done"]
        assert len(done) <= 1


async def _assert_ready_once(channel: MeshChannel) -> None:
    """Each study became ready once in each of its generations."""
    ready: Counter[tuple[str, int]] = Counter()
    async for event in _events_until_heartbeat(channel):
        if event.state == "STUDY_STATE_READY":
            ready[event.study_id, event.generation] += 1
    assert set(ready.values()) == {1}


async def _events_until_heartbeat(channel: MeshChannel) -> AsyncIterator[events_pb.Event]:
    watch = EventsServiceStub(channel).WatchEvents(events_pb.WatchEventsRequest(cursor="0"))
    async for message in watch:
        if not message.HasField("event"):
            return
        yield message.event


async def _reasons(channel: MeshChannel, study: archive_pb.Study) -> str:
    work = await workflow(channel, study.study_id)
    held = [stage for stage in work.stages if stage.state == pb.STAGE_STATE_HELD]
    return "; ".join(f"{stage.name}: {stage.reason.text}" for stage in held)
