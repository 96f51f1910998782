"""What is said of studies and what becomes of them, through a real channel and database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.workflow.v1 import completeness_service_pb2 as pb
from heimdallr.workflow.v1 import completeness_service_pb2_grpc as pb_grpc
from heimdallr.workflow.v1 import workflow_service_pb2 as workflow_pb
from services.coordinator.archive.indexer import AssociationEnd, Indexer
from services.coordinator.workflow.completeness import CompletenessRules
from services.coordinator.workflow.completeness_service import CompletenessService
from services.coordinator.workflow.manifests import Manifests
from services.runtime.client import error_info
from services.runtime.ids import new_id
from services.runtime.postgres import Pool, transaction
from services.runtime.tokens import CallerKind
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.workflow.workshop import Workshop, open_workshop, states
from tests.support.mesh import running_server

pytestmark = pytest.mark.postgres

STUDY = "1.2.1"
SERIES = "1.2.1.151"
RULES = CompletenessRules(
    quiet_after=timedelta(seconds=600),
    released_after=timedelta(0),
    announced_after=timedelta(seconds=600),
)


@dataclass(slots=True)
class Bench:
    """A workflow whose studies wait long, and who tells it what they consist of."""

    workshop: Workshop
    person: pb_grpc.CompletenessServiceAsyncStub
    service: pb_grpc.CompletenessServiceAsyncStub

    async def declare(self, *uids: str, name: str = "sender", count: int = 0) -> pb.Announcement:
        series = pb.AnnouncedSeries(
            series_instance_uid=SERIES, sop_instance_uids=uids, instance_count=count
        )
        request = pb.DeclareManifestRequest(study_instance_uid=STUDY, name=name, series=[series])
        return (await self.service.DeclareManifest(request)).announcement

    async def confirm(self, count: int, source: str = "PACS") -> int:
        request = pb.ConfirmCountRequest(
            study_instance_uid=STUDY, source=source, instance_count=count
        )
        return (await self.service.ConfirmCount(request)).instance_count

    async def evidence(self, study_id: str) -> str:
        workflow = await self.workshop.views.study_workflow(study_id)
        return archive_pb.Evidence.Name(workflow.evidence).removeprefix("EVIDENCE_")

    async def close(self, *association_ids: str) -> None:
        ends = [AssociationEnd(one, released=True) for one in association_ids]
        async with transaction(self.workshop.pool) as connection:
            await Indexer().close_associations(connection, ends)


@pytest.fixture
async def bench(database: Pool, mesh_address: str, tmp_path: Path) -> AsyncIterator[Bench]:
    workshop = open_workshop(database, mesh_address, rules=RULES)
    service = CompletenessService(Manifests(database), workshop.completeness)
    async with running_server(
        tmp_path, lambda server: pb_grpc.add_CompletenessServiceServicer_to_server(service, server)
    ) as server:
        write = Permission.PERMISSION_COMPLETENESS_WRITE
        person = server.bearer_channel(server.tokens.mint(write, kind=CallerKind.PERSON))
        gateway = server.bearer_channel(server.tokens.mint(write, kind=CallerKind.SERVICE))
        yield Bench(
            workshop,
            pb_grpc.CompletenessServiceStub(person),
            pb_grpc.CompletenessServiceStub(gateway),
        )
    await workshop.channel.close()


def uid(number: int) -> str:
    return f"{SERIES}.{number}"


async def refused(call: Awaitable[object]) -> tuple[str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info = error_info(caught.value)
    assert info is not None
    return info.reason, dict(info.metadata)


async def test_a_study_is_complete_as_soon_as_all_that_was_announced_is_there(
    bench: Bench,
) -> None:
    before = await bench.declare(uid(1), uid(2))
    study_id = await bench.workshop.receive(arrival())
    short = await bench.workshop.completeness.judge()
    waiting = await bench.workshop.views.study_workflow(study_id)
    await bench.workshop.receive(arrival(number=2, data=b"2"))
    whole = await bench.workshop.completeness.judge()

    assert before == pb.Announcement(announced_count=2)
    assert (short, whole) == (0, 1)
    assert waiting.waits[0].text == "1 of 2 announced instances are here"
    assert (waiting.announcement.present_count, waiting.announcement.announced_count) == (1, 2)
    assert await bench.evidence(study_id) == "MANIFEST"


async def test_released_associations_do_not_end_the_wait_for_what_was_announced(
    bench: Bench,
) -> None:
    first = arrival()
    study_id = await bench.workshop.receive(first)
    await bench.declare(uid(1), uid(2))
    await bench.close(first.association_id)

    assert await bench.workshop.completeness.judge() == 0

    await bench.declare(uid(1))
    assert await bench.workshop.completeness.judge() == 1
    assert await bench.evidence(study_id) == "MANIFEST"


async def test_a_study_that_stays_short_goes_on_with_what_is_there_and_says_so(
    bench: Bench, database: Pool
) -> None:
    study_id = await bench.workshop.receive(arrival())
    await bench.declare(uid(1), uid(2))
    await database.execute(
        "UPDATE archive.study SET last_receive_time = now() - interval '11 minutes'"
    )

    assert await bench.workshop.completeness.judge() == 1

    workflow = await bench.workshop.views.study_workflow(study_id)
    assert await bench.evidence(study_id) == "QUIET"
    assert (workflow.announcement.present_count, workflow.announcement.announced_count) == (1, 2)


async def test_manifests_of_a_study_count_together_and_each_once_by_name(bench: Bench) -> None:
    await bench.workshop.receive(arrival(), arrival(number=2, data=b"2"))

    await bench.declare(uid(1), uid(9), name="one")
    await bench.declare(uid(1), uid(2), name="two")
    both = await bench.declare(uid(1), name="one")
    counted = await bench.declare(count=5, name="three")
    fewer = await bench.declare(count=1, name="three")

    assert (both.present_count, both.announced_count) == (2, 2)
    assert (counted.present_count, counted.announced_count) == (2, 5)
    assert (fewer.present_count, fewer.announced_count) == (2, 2)


async def test_instances_under_the_same_uid_in_another_study_do_not_count(bench: Bench) -> None:
    await bench.workshop.receive(arrival(study("1.9"), data=b"other"))
    other = f"1.9.{sum(b'CT')}.1"
    await bench.workshop.receive(arrival())

    announcement = await bench.declare(uid(1), other)

    assert (announcement.present_count, announcement.announced_count) == (1, 2)


async def test_the_count_of_the_source_is_evidence_when_it_is_what_is_there(bench: Bench) -> None:
    study_id = await bench.workshop.receive(arrival())
    here = await bench.confirm(2)
    short = await bench.workshop.completeness.judge()
    waiting = await bench.workshop.views.study_workflow(study_id)
    await bench.confirm(1)

    assert here == 1
    assert short == 0
    assert waiting.waits[0].text == "1 of 2 instances that the source has are here"
    assert await bench.workshop.completeness.judge() == 1
    assert await bench.evidence(study_id) == "COUNT"


async def test_a_study_that_was_complete_for_a_lesser_reason_gets_the_better_one(
    bench: Bench,
) -> None:
    first = arrival()
    study_id = await bench.workshop.receive(first)
    await bench.close(first.association_id)
    await bench.workshop.completeness.judge()
    seen = [await bench.evidence(study_id)]
    await bench.confirm(2)
    seen.append(await bench.evidence(study_id))
    await bench.confirm(1)
    seen.append(await bench.evidence(study_id))
    await bench.declare(uid(1))
    seen.append(await bench.evidence(study_id))
    await bench.confirm(1)
    seen.append(await bench.evidence(study_id))

    assert seen == ["RELEASED", "RELEASED", "COUNT", "MANIFEST", "MANIFEST"]


async def test_a_person_calls_a_study_complete_and_a_late_instance_opens_a_generation(
    bench: Bench,
) -> None:
    study_id = await bench.workshop.receive(arrival())
    request = pb.CompleteStudyRequest(study_id=study_id)
    done = await bench.person.CompleteStudy(request)
    again = await bench.person.CompleteStudy(request)
    await bench.workshop.receive(arrival(number=2, data=b"late"))
    late = await bench.workshop.views.study_workflow(study_id)

    assert done.evidence == archive_pb.EVIDENCE_PERSON
    assert again == done
    assert done.generation == 1
    assert late.generation == 2
    assert late.state == archive_pb.STUDY_STATE_RECEIVING
    assert late.evidence == archive_pb.EVIDENCE_UNSPECIFIED
    assert states(late) == {}
    assert {stage.state for stage in late.stages} == {workflow_pb.STAGE_STATE_SUPERSEDED}


async def test_no_service_speaks_for_a_person(bench: Bench) -> None:
    study_id = await bench.workshop.receive(arrival())

    call = bench.service.CompleteStudy(pb.CompleteStudyRequest(study_id=study_id))

    assert (await refused(call))[0] == "ERROR_REASON_PERMISSION_DENIED"
    unknown = bench.person.CompleteStudy(pb.CompleteStudyRequest(study_id=new_id()))
    assert (await refused(unknown))[0] == "ERROR_REASON_STUDY_NOT_FOUND"


async def test_a_step_in_progress_is_waited_for_and_what_it_made_is_a_manifest(
    bench: Bench, database: Pool
) -> None:
    manifests = Manifests(database)
    first = arrival()
    study_id = await bench.workshop.receive(first)
    await bench.close(first.association_id)
    async with transaction(database) as connection:
        await manifests.step_began(connection, STUDY, "1.7")
    open_step = await bench.workshop.completeness.judge()
    waiting = await bench.workshop.views.study_workflow(study_id)
    async with transaction(database) as connection:
        await manifests.step_ended(connection, STUDY, "1.7", {SERIES: [uid(1)]})

    assert open_step == 0
    assert waiting.waits[0].code == "PROCEDURE_STEP"
    assert await bench.workshop.completeness.judge() == 1
    assert await bench.evidence(study_id) == "MANIFEST"


async def test_a_manifest_that_breaks_a_rule_is_refused(bench: Bench) -> None:
    def declaring(*series: pb.AnnouncedSeries) -> pb.DeclareManifestRequest:
        return pb.DeclareManifestRequest(study_instance_uid=STUDY, name="a", series=series)

    nul = pb.AnnouncedSeries(series_instance_uid="1.2", sop_instance_uids=["\0"])
    for field, request in (
        ("study_instance_uid", pb.DeclareManifestRequest(study_instance_uid="x")),
        ("name", pb.DeclareManifestRequest(study_instance_uid=STUDY, name="a b")),
        ("series", declaring()),
        (
            "series.instance_count",
            declaring(pb.AnnouncedSeries(series_instance_uid=SERIES)),
        ),
        ("series.sop_instance_uids", declaring(nul)),
    ):
        reason, metadata = await refused(bench.service.DeclareManifest(request))
        assert (reason, metadata["field"]) == ("ERROR_REASON_INVALID_FIELD", field)


async def test_a_count_that_breaks_a_rule_is_refused(bench: Bench) -> None:
    for count, source in ((0, "PACS"), (1, ""), (1, "A\0")):
        request = pb.ConfirmCountRequest(
            study_instance_uid=STUDY, source=source, instance_count=count
        )
        assert (await refused(bench.service.ConfirmCount(request)))[0] == (
            "ERROR_REASON_INVALID_FIELD"
        )
