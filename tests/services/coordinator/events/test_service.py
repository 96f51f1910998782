"""The event log, watched through real channels over a real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

import grpc
import pytest

from heimdallr.events.v1 import events_service_pb2 as pb
from services.coordinator.events.outbox import EventDraft, EventType, append_event
from services.runtime.client import error_info
from services.runtime.ids import new_id
from services.runtime.postgres import transaction
from tests.services.coordinator.events.conftest import STUDY, Events, running_events, take

pytestmark = pytest.mark.postgres


def _states(responses: list[pb.WatchEventsResponse]) -> list[str]:
    return [response.event.state for response in responses]


async def _failure(events: Events, **request: str) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    call = events.stub().WatchEvents(pb.WatchEventsRequest(**request))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    info = error_info(caught.value)
    assert info is not None
    return caught.value.code(), info.reason, dict(info.metadata)


async def _read_into(call: Any, seen: list[pb.WatchEventsResponse]) -> None:
    while True:
        seen.append(await asyncio.wait_for(call.read(), 5))


async def test_events_come_in_order_from_the_oldest(events: Events) -> None:
    await events.write("a", "b", "c")

    found = await take(events.stub(), "0", 3)

    assert _states(found) == ["a", "b", "c"]
    assert [response.cursor for response in found] == ["1", "2", "3"]
    assert found[0].event.study_id == STUDY
    assert found[0].event.type == pb.EVENT_TYPE_STUDY_GREW


async def test_every_field_of_an_event_arrives(events: Events) -> None:
    draft = EventDraft(
        EventType.STAGE_STATE_CHANGED,
        STUDY,
        series_id=new_id(),
        stage_id=new_id(),
        stage_name="convert",
        state="STAGE_STATE_DONE",
        generation=3,
        correlation_id="c-1",
    )
    async with transaction(events.pool) as connection:
        await append_event(connection, draft)

    (found,) = await take(events.stub(), "0", 1)

    assert found.event.type == pb.EVENT_TYPE_STAGE_STATE_CHANGED
    assert found.event.series_id == draft.series_id
    assert found.event.stage_id == draft.stage_id
    assert (found.event.stage_name, found.event.state) == ("convert", "STAGE_STATE_DONE")
    assert (found.event.generation, found.event.correlation_id) == (3, "c-1")
    assert found.event.HasField("occur_time")


async def test_an_event_of_a_transaction_that_rolls_back_never_happened(events: Events) -> None:
    connection = await events.pool.acquire()
    begun = connection.transaction()
    await begun.start()
    await append_event(connection, EventDraft(EventType.STUDY_GREW, STUDY, state="lost"))
    await begun.rollback()
    await events.pool.release(connection)
    await events.write("kept")

    found = await take(events.stub(), "0", 1)

    assert _states(found) == ["kept"]


async def test_an_empty_cursor_begins_with_what_happens_next(events: Events) -> None:
    await events.write("before")
    await events.settled()
    call = cast("Any", events.stub().WatchEvents(pb.WatchEventsRequest()))

    first = await asyncio.wait_for(call.read(), 5)
    await events.write("after")
    second = await asyncio.wait_for(call.read(), 5)

    assert (first.cursor, first.HasField("event")) == ("1", False)
    assert (second.cursor, second.event.state) == ("2", "after")


async def test_events_of_one_study_only(events: Events) -> None:
    other = new_id()
    await events.write("mine 1")
    await events.write("theirs", study_id=other)
    await events.settled()
    watching = asyncio.create_task(take(events.stub(), "0", 3, STUDY))
    await asyncio.sleep(0.3)
    await events.write("theirs too", study_id=other)
    await events.write("mine 2", "mine 3")

    found = await watching

    assert _states(found) == ["mine 1", "mine 2", "mine 3"]


@pytest.mark.parametrize(
    ("request_fields", "field"),
    [
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "-1"}, "cursor"),
        ({"cursor": "01"}, "cursor"),
        ({"cursor": "9" * 40}, "cursor"),
        ({"cursor": "7"}, "cursor"),
        ({"study_id": "1.2.840"}, "study_id"),
    ],
)
async def test_cursors_that_were_never_given_are_refused(
    events: Events, request_fields: dict[str, str], field: str
) -> None:
    code, reason, metadata = await _failure(events, **request_fields)

    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_FIELD")
    assert metadata["field"] == field


async def test_a_cursor_before_the_oldest_event_has_expired(events: Events) -> None:
    await events.write("1", "2", "3", "4")
    await events.settled()
    await events.pool.execute(
        "UPDATE events.event SET occur_time = now() - interval '8 days' WHERE cursor <= 2"
    )

    removed = await events.log.expire(timedelta(days=7), 1000)

    assert removed == 2
    assert await _failure(events, cursor="1") == (
        grpc.StatusCode.OUT_OF_RANGE,
        "ERROR_REASON_CURSOR_EXPIRED",
        {"oldest_cursor": "3"},
    )
    assert _states(await take(events.stub(), "2", 2)) == ["3", "4"]
    assert _states(await take(events.stub(), "0", 2)) == ["3", "4"]


async def test_silence_is_filled_with_heartbeats(migrated: str, tmp_path: Path) -> None:
    async with running_events(tmp_path, migrated, heartbeat_s=0.2) as events:
        await events.write("theirs", study_id=new_id())
        await events.settled()
        request = pb.WatchEventsRequest(cursor="0", study_id=STUDY)
        call = cast("Any", events.stub().WatchEvents(request))

        beats = [await asyncio.wait_for(call.read(), 5) for _ in range(2)]

    assert [(beat.cursor, beat.HasField("event")) for beat in beats] == [("1", False)] * 2


async def test_watchers_that_come_and_go_under_concurrent_writers_see_each_event_once(
    events: Events,
) -> None:
    writers, each = 8, 60
    total = writers * each

    async def write(number: int) -> None:
        chance = Random(number)  # noqa: S311 - not a secret
        for n in range(each):
            async with transaction(events.pool) as connection:
                draft = EventDraft(EventType.STUDY_GREW, STUDY, state=f"{number}:{n}")
                await append_event(connection, draft)
                await asyncio.sleep(chance.random() * 0.01)

    async def watch(seed: int) -> list[pb.WatchEventsResponse]:
        chance = Random(100 + seed)  # noqa: S311 - not a secret
        seen: list[pb.WatchEventsResponse] = []
        while len(seen) < total:
            cursor = seen[-1].cursor if seen else "0"
            count = min(chance.randint(1, 60), total - len(seen))
            seen += await take(events.stub(), cursor, count)
        return seen

    results = await asyncio.gather(
        *(watch(seed) for seed in range(3)), *(write(number) for number in range(writers))
    )

    watched = [result for result in results if result is not None]
    assert len(watched) == 3
    for seen in watched:
        assert [int(response.cursor) for response in seen] == list(range(1, total + 1))
        for number in range(writers):
            own = [s for s in _states(seen) if s.startswith(f"{number}:")]
            assert own == [f"{number}:{n}" for n in range(each)]


async def test_two_coordinators_give_one_order_and_a_restart_loses_nothing(
    migrated: str, tmp_path: Path
) -> None:
    async with (
        running_events(tmp_path / "a", migrated) as one,
        running_events(tmp_path / "b", migrated) as two,
    ):
        await asyncio.gather(*(e.write(f"{n}") for n in range(50) for e in (one, two)))
        of_one = await take(one.stub(), "0", 100)
        of_two = await take(two.stub(), "0", 100)
    async with running_events(tmp_path / "c", migrated) as again:
        await again.write("after")
        of_again = await take(again.stub(), of_one[-1].cursor, 1)

    assert of_one == of_two
    assert sorted(_states(of_one)) == sorted([f"{n}" for n in range(50)] * 2)
    assert (_states(of_again), of_again[0].cursor) == (["after"], "101")


async def test_the_listening_connection_may_break(events: Events) -> None:
    call = cast("Any", events.stub().WatchEvents(pb.WatchEventsRequest()))
    await asyncio.wait_for(call.read(), 5)
    await events.pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    async with asyncio.timeout(10):
        while True:
            try:
                await events.write("after the break")
                break
            except Exception:
                await asyncio.sleep(0.1)
    response = await asyncio.wait_for(call.read(), 10)

    assert response.event.state == "after the break"


async def test_a_slow_watcher_is_cut_and_resumes_without_loss(
    migrated: str, tmp_path: Path
) -> None:
    async with running_events(tmp_path, migrated, capacity=20) as events:
        call = cast("Any", events.stub().WatchEvents(pb.WatchEventsRequest(cursor="0")))
        await events.write("first", "x" * 60_000)
        seen = [await asyncio.wait_for(call.read(), 5)]
        for n in range(60):
            await events.write(*(f"{n}:{'x' * 60_000}" for _ in range(2)))
        last = await events.settled()
        await asyncio.sleep(0.5)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _read_into(call, seen)
        rest = await take(events.stub(), seen[-1].cursor, last - len(seen))

    info = error_info(caught.value)
    assert info is not None
    assert (info.reason, dict(info.metadata)) == (
        "ERROR_REASON_LIMIT_EXCEEDED",
        {"limit": "watch_buffer"},
    )
    assert [int(r.cursor) for r in (*seen, *rest)] == list(range(1, last + 1))


async def test_a_thousand_watchers_share_one_listener(events: Events) -> None:
    stubs = [events.stub() for _ in range(4)]
    calls = [cast("Any", stubs[n % 4].WatchEvents(pb.WatchEventsRequest())) for n in range(1000)]
    await asyncio.gather(*(asyncio.wait_for(call.read(), 60) for call in calls))
    listening = await events.pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    )

    await events.write("for all")
    found = await asyncio.gather(*(asyncio.wait_for(call.read(), 60) for call in calls))

    assert {response.event.state for response in found} == {"for all"}
    assert listening <= 8 + 4
    for call in calls:
        call.cancel()
