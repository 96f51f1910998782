"""The registry of sources, called through a real channel with rows in a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.sources.v1 import sources_service_pb2 as pb
from heimdallr.sources.v1 import sources_service_pb2_grpc as pb_grpc
from services.coordinator.sources.messages import spec_from_proto
from services.coordinator.sources.rules import check_spec
from services.coordinator.sources.service import SourcesService
from services.coordinator.sources.store import SourceStore
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import InvalidFieldError, PeerNotFoundError
from services.runtime.ids import new_id
from services.runtime.migrate import apply
from services.runtime.postgres import Pool
from tests.support.mesh import RunningServer, running_server
from tests.support.postgres import pool, postgres_dsn, postgres_server_dsn

__all__ = ["pool", "postgres_dsn", "postgres_server_dsn"]

pytestmark = pytest.mark.postgres

PEER, WEB_ONLY = new_id(), new_id()
GATEWAY = new_id()
STUDY = "6b9e19d9-62094390-5f9ddb01-4a191ae7-9766b715"
Stub = Any


async def speaks(peer_id: str) -> tuple[bool, bool]:
    if peer_id not in (PEER, WEB_ONLY):
        raise PeerNotFoundError(peer_id)
    return peer_id == PEER, True


@pytest.fixture
async def server(pool: Pool, tmp_path: Path) -> AsyncIterator[RunningServer]:
    await apply(pool, ["services.coordinator.sources"])
    service = SourcesService(SourceStore(pool), speaks)

    def add(target: grpc.aio.Server) -> None:
        pb_grpc.add_SourcesServiceServicer_to_server(service, target)

    async with running_server(tmp_path, add) as running:
        yield running


@pytest.fixture
def stub(server: RunningServer) -> Stub:
    return pb_grpc.SourcesServiceStub(
        server.channel(
            Permission.PERMISSION_SOURCES_READ,
            Permission.PERMISSION_SOURCES_ADMIN,
            Permission.PERMISSION_SOURCES_RUN,
        )
    )


def folder(name: str = "scanner", **changes: Any) -> pb.SourceSpec:
    values: dict[str, Any] = {"path": "/watched/in", "settle_s": 5} | changes
    interval = values.pop("interval_s", 60)
    return pb.SourceSpec(
        name=name,
        schedule=pb.Schedule(interval_s=interval),
        watch_folder=pb.WatchFolder(**values),
    )


def orthanc(name: str = "orthanc", peer_id: str = PEER, every_h: int = 0) -> pb.SourceSpec:
    kind = pb.Orthanc(peer_id=peer_id, reconcile_every_h=every_h)
    return pb.SourceSpec(name=name, schedule=pb.Schedule(interval_s=60), orthanc=kind)


def polling(kind: str, peer_id: str = PEER, **values: Any) -> pb.SourceSpec:
    wanted = pb.Filter(
        days_back=values.pop("days_back", 2), modalities=values.pop("modalities", [])
    )
    daily = pb.DailyTimes(times=["02:00"], time_zone="Europe/Lisbon")
    spec = pb.SourceSpec(name=kind, schedule=pb.Schedule(daily=daily))
    getattr(spec, kind).peer_id = peer_id
    getattr(spec, kind).filter.CopyFrom(wanted)
    return spec


async def created(stub: Stub, spec: pb.SourceSpec) -> pb.Source:
    source: pb.Source = (await stub.CreateSource(pb.CreateSourceRequest(spec=spec))).source
    return source


async def turn_of(stub: Stub, hold_s: int = 60) -> pb.Turn | None:
    answer = await stub.TakeTurn(pb.TakeTurnRequest(gateway_id=GATEWAY, hold_s=hold_s))
    return answer.turn if answer.HasField("turn") else None


async def end(stub: Stub, turn: pb.Turn, **values: Any) -> None:
    source_id = turn.source.source_id
    await stub.EndTurn(pb.EndTurnRequest(source_id=source_id, turn_id=turn.turn_id, **values))


async def state(stub: Stub, source_id: str) -> pb.SourceState:
    answer = await stub.GetSource(pb.GetSourceRequest(source_id=source_id))
    told: pb.SourceState = answer.source.state
    return told


async def refused(call: Any) -> ServiceCallError:
    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await call
    return caught.value


async def test_what_is_registered_is_returned(stub: Stub) -> None:
    specs = [polling("dimse"), orthanc(), polling("qido", modalities=["CT"]), folder()]
    made = [await created(stub, spec) for spec in specs]

    listed = (await stub.ListSources(pb.ListSourcesRequest())).sources
    by_name = (await stub.GetSource(pb.GetSourceRequest(name="qido"))).source

    assert [source.spec for source in listed] == specs
    assert [source.source_id for source in listed] == [source.source_id for source in made]
    assert by_name.spec == specs[2]
    assert {source.state.health for source in listed} == {pb.HEALTH_NEW}


async def test_a_name_is_taken_once(stub: Stub) -> None:
    await created(stub, folder())
    other = await created(stub, folder("other"))

    again = await refused(created(stub, folder()))
    renamed = await refused(
        stub.UpdateSource(pb.UpdateSourceRequest(source_id=other.source_id, spec=folder()))
    )

    assert again.reason == renamed.reason == "ERROR_REASON_SOURCE_EXISTS"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (pb.SourceSpec(name="x", schedule=pb.Schedule(interval_s=1)), "spec.kind"),
        (folder(""), "spec.name"),
        (folder("a\nb"), "spec.name"),
        (folder(path="relative"), "spec.watch_folder.path"),
        (folder(path="/a/../etc"), "spec.watch_folder.path"),
        (folder(settle_s=0), "spec.watch_folder.settle_s"),
        (folder(interval_s=0), "spec.schedule.interval_s"),
        (polling("qido", days_back=0), "spec.qido.filter.days_back"),
        (polling("dimse", modalities=["ct"]), "spec.dimse.filter.modalities"),
        (orthanc(peer_id="nobody"), "spec.orthanc.peer_id"),
    ],
)
def test_what_breaks_a_rule_is_named(spec: pb.SourceSpec, field: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        check_spec(spec_from_proto(spec))

    assert caught.value.metadata["field"] == field


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "/etc/passwd"])
def test_a_time_zone_has_to_exist(zone: str) -> None:
    spec = polling("qido")
    spec.schedule.daily.time_zone = zone

    with pytest.raises(InvalidFieldError, match="time_zone"):
        check_spec(spec_from_proto(spec))


async def test_a_peer_has_to_be_registered_and_speak_what_is_asked(stub: Stub) -> None:
    unknown = await refused(created(stub, orthanc(peer_id=new_id())))
    mute = await refused(created(stub, polling("dimse", peer_id=WEB_ONLY)))

    assert unknown.reason == "ERROR_REASON_PEER_NOT_FOUND"
    assert mute.metadata["field"] == "spec.dimse.peer_id"


async def test_one_gateway_at_a_time_has_the_turn(stub: Stub) -> None:
    await created(stub, folder("a"))
    await created(stub, folder("b"))

    turns = await asyncio.gather(*(turn_of(stub) for _ in range(5)))

    held = [turn for turn in turns if turn is not None]
    assert {turn.source.spec.name for turn in held} == {"a", "b"}
    assert len(held) == 2


async def test_a_turn_that_was_not_kept_passes_on_and_the_late_worker_is_refused(
    stub: Stub, pool: Pool
) -> None:
    await created(stub, folder())
    first = await turn_of(stub)
    assert first is not None
    await pool.execute("UPDATE sources.source SET turn_expire_time = now() - interval '1 s'")

    second = await turn_of(stub)

    assert second is not None
    source_id = first.source.source_id
    kept = stub.KeepTurn(pb.KeepTurnRequest(source_id=source_id, turn_id=first.turn_id, hold_s=60))
    assert (await refused(kept)).reason == "ERROR_REASON_TURN_LOST"
    assert (await refused(end(stub, first))).reason == "ERROR_REASON_TURN_LOST"
    await end(stub, second)


async def test_the_end_of_a_turn_is_counted_once(stub: Stub) -> None:
    source = await created(stub, folder())
    turn = await turn_of(stub)
    assert turn is not None
    progress = pb.TurnProgress(cursor="7", counts=pb.Counts(studies=1, stored=4, known=2))

    await end(stub, turn, progress=progress)
    await end(stub, turn, progress=progress)

    told = await state(stub, source.source_id)
    assert (told.total.stored, told.last.known, told.health) == (4, 2, pb.HEALTH_GOOD)
    assert told.HasField("last_success_time")
    assert not told.running


async def test_where_a_turn_stopped_is_where_the_next_goes_on(stub: Stub) -> None:
    source = await created(stub, orthanc())
    turn = await turn_of(stub)
    assert turn is not None
    keep = pb.KeepTurnRequest(
        source_id=source.source_id,
        turn_id=turn.turn_id,
        progress=pb.TurnProgress(cursor="5", text="5 of 9 studies"),
        hold_s=60,
    )
    await stub.KeepTurn(keep)
    running = await state(stub, source.source_id)
    await end(stub, turn, failure="the peer does not answer")

    failed = await state(stub, source.source_id)
    await stub.RunSource(pb.RunSourceRequest(source_id=source.source_id))
    again = await turn_of(stub)

    assert (running.running, running.progress) == (True, "5 of 9 studies")
    assert (failed.health, failed.failures) == (pb.HEALTH_FAILING, 1)
    assert failed.failure == "the peer does not answer"
    assert again is not None
    assert (again.cursor, again.reconcile) == ("5", True)


async def test_all_is_reconciled_at_first_and_when_asked_for(stub: Stub) -> None:
    source = await created(stub, orthanc())
    first = await turn_of(stub)
    assert first is not None
    await end(stub, first, reconciled=True)

    await stub.RunSource(pb.RunSourceRequest(source_id=source.source_id))
    second = await turn_of(stub)
    assert second is not None
    await end(stub, second)
    await stub.RunSource(pb.RunSourceRequest(source_id=source.source_id, reconcile=True))
    third = await turn_of(stub)

    assert third is not None
    assert [turn.reconcile for turn in (first, second, third)] == [True, False, True]


async def test_all_is_reconciled_again_after_the_hours_that_are_set(stub: Stub, pool: Pool) -> None:
    source = await created(stub, orthanc(every_h=24))
    first = await turn_of(stub)
    assert first is not None
    await end(stub, first, reconciled=True)
    await pool.execute("UPDATE sources.source SET reconcile_time = now() - interval '25 hours'")

    await stub.RunSource(pb.RunSourceRequest(source_id=source.source_id))
    second = await turn_of(stub)

    assert second is not None
    assert second.reconcile


async def test_a_paused_source_runs_only_when_asked_for(stub: Stub, pool: Pool) -> None:
    source = await created(stub, folder())
    pause = pb.PauseSourceRequest(source_id=source.source_id, paused=True)
    await stub.PauseSource(pause)

    assert await turn_of(stub) is None
    assert (await state(stub, source.source_id)).health == pb.HEALTH_PAUSED
    await stub.RunSource(pb.RunSourceRequest(source_id=source.source_id))
    turn = await turn_of(stub)
    assert turn is not None
    keep = pb.KeepTurnRequest(source_id=source.source_id, turn_id=turn.turn_id, hold_s=60)
    assert not (await stub.KeepTurn(keep)).stop
    await stub.PauseSource(pb.PauseSourceRequest(source_id=source.source_id))
    await stub.PauseSource(pause)
    assert (await stub.KeepTurn(keep)).stop


async def test_a_source_nobody_takes_is_overdue(stub: Stub, pool: Pool) -> None:
    source = await created(stub, folder())
    await pool.execute("UPDATE sources.source SET next_run_time = now() - interval '1 hour'")

    assert (await state(stub, source.source_id)).health == pb.HEALTH_OVERDUE


async def test_a_notice_is_kept_until_it_is_done(stub: Stub) -> None:
    source = await created(stub, orthanc())
    turn = await turn_of(stub)
    assert turn is not None
    await stub.NoticeStudy(pb.NoticeStudyRequest(orthanc_id=STUDY.upper()))
    await stub.NoticeStudy(pb.NoticeStudyRequest(orthanc_id=STUDY, source_name="orthanc"))
    # Told of after the turn began, so it is not what that turn did.
    await end(stub, turn, progress=pb.TurnProgress(done_orthanc_ids=[STUDY]))

    second = await turn_of(stub)
    assert second is not None
    assert list(second.noticed_orthanc_ids) == [STUDY]
    await end(stub, second, progress=pb.TurnProgress(done_orthanc_ids=[STUDY]))
    await stub.RunSource(pb.RunSourceRequest(source_id=source.source_id))
    third = await turn_of(stub)

    assert third is not None
    assert list(third.noticed_orthanc_ids) == []


async def test_a_notice_has_to_mean_one_orthanc(stub: Stub) -> None:
    request = pb.NoticeStudyRequest(orthanc_id=STUDY)

    nobody = await refused(stub.NoticeStudy(request))
    await created(stub, orthanc("a"))
    await created(stub, orthanc("b"))
    several = await refused(stub.NoticeStudy(request))
    bad = await refused(stub.NoticeStudy(pb.NoticeStudyRequest(orthanc_id="../../etc")))

    assert nobody.reason == several.reason == "ERROR_REASON_SOURCE_NOT_FOUND"
    assert bad.reason == "ERROR_REASON_INVALID_FIELD"


async def test_another_peer_is_begun_anew(stub: Stub) -> None:
    source = await created(stub, orthanc())
    turn = await turn_of(stub)
    assert turn is not None
    await end(stub, turn, progress=pb.TurnProgress(cursor="9"), reconciled=True)
    update = pb.UpdateSourceRequest(source_id=source.source_id, spec=orthanc(peer_id=WEB_ONLY))

    await stub.UpdateSource(update)
    await stub.RunSource(pb.RunSourceRequest(source_id=source.source_id))
    again = await turn_of(stub)

    assert again is not None
    assert (again.cursor, again.reconcile) == ("", True)


async def test_a_source_is_forgotten_once_and_for_all(stub: Stub) -> None:
    source = await created(stub, folder())
    for _ in range(2):
        await stub.DeleteSource(pb.DeleteSourceRequest(source_id=source.source_id))

    error = await refused(stub.GetSource(pb.GetSourceRequest(source_id=source.source_id)))

    assert error.reason == "ERROR_REASON_SOURCE_NOT_FOUND"
