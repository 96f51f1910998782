"""A series without identity, for a project."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import grpc

from heimdallr.deid.v1 import deidentification_service_pb2 as pb
from heimdallr.deid.v1 import profile_pb2 as profile_pb
from heimdallr.deid.v1.deidentification_service_pb2_grpc import DeidentificationServiceStub
from services.coordinator.crosswalk.messages import link_from_proto
from services.coordinator.crosswalk.reidentification import Link, PseudonymKind
from services.coordinator.crosswalk.store import known_versions
from services.coordinator.deidentification import work
from services.coordinator.deidentification.starting import spec_of
from services.coordinator.workflow import store
from services.coordinator.workflow.keys import output_key
from services.coordinator.workflow.mesh_runner.calls import (
    DEADLINES_S,
    series_of,
    stage_failures,
)
from services.coordinator.workflow.retry import Failure
from services.coordinator.workflow.runner import (
    Attempt,
    ProgressSink,
    StageFailedError,
    StageResult,
)
from services.coordinator.workflow.stages import Stage, StageKind, StageState
from services.runtime.blob_messages import blob_from_proto, blob_to_proto
from services.runtime.errors import InvalidFieldError
from services.runtime.postgres import Connection, Pool, connection

BATCH: Final = 5000
_MAX_BOXES: Final = 20_000
_NO_PROJECT: Final = Failure("NOT_FOUND", "ERROR_REASON_DEID_PROJECT_NOT_FOUND")
_BROKEN: Final = Failure("INTERNAL")


@dataclass(slots=True)
class _Gathered:
    """What the calls of an attempt brought so far."""

    outcomes: list[work.Outcome] = field(default_factory=list)
    ended: list[pb.SeriesOutcome] = field(default_factory=list)

    def done(self) -> work.Done:
        """Return it as it is kept."""
        return work.Done(
            tuple(self.outcomes),
            tuple(blob_from_proto(one.certificate) for one in self.ended),
            tuple(link for one in self.ended for link in _links(one)),
            next((one.key_id for one in self.ended if one.key_id), ""),
        )


class DeidentifyStage:
    """Has de-identified of a series what is not yet, or is asked for again."""

    def __init__(self, channel: grpc.aio.Channel, pool: Pool) -> None:
        self._deid = DeidentificationServiceStub(channel)
        self._pool = pool

    async def run(self, attempt: Attempt, progress: ProgressSink) -> StageResult:
        """See `StageRunner`."""
        stage = attempt.stage
        async with connection(self._pool) as borrowed:
            assigned = await work.assignment(
                borrowed, stage.study_id, series_of(stage), stage.model
            )
        if assigned is None:
            raise StageFailedError(_NO_PROJECT)
        gathered = _Gathered()
        versions = assigned.key_versions
        for first in range(0, len(assigned.sources), BATCH):
            sources = assigned.sources[first : first + BATCH]
            share = _Share(first, len(sources), len(assigned.sources), progress)
            versions = await self._batch(attempt, assigned, sources, versions, gathered, share)
        return self._result(stage, assigned, gathered)

    async def _batch(
        self,
        attempt: Attempt,
        assigned: work.Assignment,
        sources: Sequence[work.Source],
        versions: Mapping[str, int],
        gathered: _Gathered,
        share: _Share,
    ) -> Mapping[str, int]:
        """Have some objects de-identified; the versions by which their patients are known."""
        outcomes, ended = await self._call(attempt, assigned, sources, versions, share)
        known = {**versions, **await self._known(assigned.project.project_id, ended)}
        if any(known[tag] != version for tag, version in _patients(ended).items()):
            # The patient was met under an older key, in a study that is not here any more.
            outcomes, ended = await self._call(attempt, assigned, sources, known, share)
        gathered.outcomes += outcomes
        gathered.ended.append(ended)
        return known

    async def _known(self, project_id: str, ended: pb.SeriesOutcome) -> dict[str, int]:
        met = _patients(ended)
        async with connection(self._pool) as borrowed:
            return met | await known_versions(borrowed, project_id, list(met))

    async def _call(
        self,
        attempt: Attempt,
        assigned: work.Assignment,
        sources: Sequence[work.Source],
        versions: Mapping[str, int],
        share: _Share,
    ) -> tuple[list[work.Outcome], pb.SeriesOutcome]:
        request = _request(attempt, assigned, sources, versions)
        outcomes: list[work.Outcome] = []
        ended: pb.SeriesOutcome | None = None
        wanted = {source.instance_id: source for source in sources}
        stream = self._deid.DeidentifySeries(request, timeout=DEADLINES_S[StageKind.DEIDENTIFY])
        with stage_failures():
            async for event in stream:
                if event.HasField("progress"):
                    share.tell(event.progress.fraction, event.progress.activity)
                elif event.HasField("instance"):
                    _check(event.instance, wanted)
                    outcomes.append(_outcome(event.instance))
                elif event.HasField("outcome"):
                    ended = event.outcome
        # Fails closed: what nobody answered for is not taken as done.
        if ended is None or wanted or not ended.HasField("certificate"):
            raise StageFailedError(_BROKEN)
        return outcomes, ended

    def _result(self, stage: Stage, assigned: work.Assignment, gathered: _Gathered) -> StageResult:
        try:
            done = gathered.done()
        except InvalidFieldError:
            raise StageFailedError(_BROKEN) from None

        async def keep(borrowed: Connection) -> None:
            summary = await work.keep(borrowed, done, assigned)
            await borrowed.execute(store.QUERIES["set_stage_summary"], stage.stage_id, summary)
            await run_again_if_more_is_wanted(borrowed, stage, assigned.project.project_id)

        released = [one.released for one in done.outcomes if one.released is not None]
        ended = pb.SeriesOutcome()
        if gathered.ended:
            ended.CopyFrom(gathered.ended[-1])
            # Who stands behind a pseudonym is kept in the crosswalk alone.
            ended.ClearField("links")
        content = ended.SerializeToString(deterministic=True)
        return StageResult(
            result=content,
            result_type=ended.DESCRIPTOR.full_name,
            output_key=output_key(content),
            blobs=tuple(dict.fromkeys((*released, *done.certificates))),
            service_version=ended.provenance.service_version,
            keep=keep,
        )


@dataclass(frozen=True, slots=True)
class _Share:
    """The part of a stage's progress that is one call's."""

    first: int
    count: int
    total: int
    progress: ProgressSink

    def tell(self, fraction: float, activity: str) -> None:
        """Tell how far the call has come."""
        self.progress((self.first + self.count * fraction) / max(self.total, 1), activity)


async def run_again_if_more_is_wanted(borrowed: Connection, stage: Stage, project_id: str) -> None:
    """Let a stage wait anew when people asked for more while it ran."""
    wanted = await work.wanted_stages(borrowed, stage.study_id, project_id)
    for one in wanted:
        spec = spec_of(one)
        if spec.key == (stage.name, stage.series_id) and spec.version != stage.version:
            await borrowed.execute(store.QUERIES["set_stage_version"], stage.stage_id, spec.version)
            await store.change_states(
                borrowed, "reset_stages", stage.study_id, StageState.PENDING, [stage.stage_id]
            )


async def add_wanted_stages(borrowed: Connection, stage: Stage) -> None:
    """Make the de-identifications that were asked for, once a generation is planned."""
    wanted = await work.wanted_stages(borrowed, stage.study_id)
    if wanted:
        await store.insert_stages(
            borrowed,
            stage.study_id,
            stage.generation,
            [spec_of(one) for one in wanted],
            priority=stage.priority,
            correlation_id=stage.correlation_id,
        )


def _request(
    attempt: Attempt,
    assigned: work.Assignment,
    sources: Sequence[work.Source],
    versions: Mapping[str, int],
) -> pb.DeidentifySeriesRequest:
    return pb.DeidentifySeriesRequest(
        attempt_id=attempt.attempt_id,
        project_id=assigned.project.project_id,
        profile=profile_pb.Profile.FromString(assigned.project.profile),
        instances=[
            pb.SourceInstance(
                instance_id=source.instance_id,
                content=blob_to_proto(source.content),
                approved_codes=source.approved_codes,
            )
            for source in sources
        ],
        key_versions=dict(versions),
        key_id=assigned.project.key_id,
    )


def _check(instance: pb.InstanceOutcome, wanted: dict[str, work.Source]) -> None:
    """Check that an outcome is of an object that was sent, the first of it, and holds together."""
    source = wanted.pop(instance.instance_id, None)
    if source is None or instance.source_sha256 != source.content.sha256:
        raise StageFailedError(_BROKEN)
    unapproved = {finding.code for finding in instance.findings} - {*source.approved_codes}
    released = instance.HasField("released")
    if unapproved if released else not instance.findings:
        raise StageFailedError(_BROKEN)


def _outcome(instance: pb.InstanceOutcome) -> work.Outcome:
    released = None
    if instance.HasField("released"):
        released = dataclasses.replace(
            blob_from_proto(instance.released, "released"), media_type="application/dicom"
        )
    details = pb.InstanceOutcome(findings=instance.findings, boxes=instance.boxes[:_MAX_BOXES])
    return work.Outcome(
        instance.instance_id,
        released,
        instance.sop_instance_uid,
        instance.series_instance_uid,
        instance.study_instance_uid,
        work.clean_codes(finding.code for finding in instance.findings),
        details.SerializeToString(deterministic=True),
    )


def _links(ended: pb.SeriesOutcome) -> list[Link]:
    return [link_from_proto(link) for link in ended.links]


def _patients(ended: pb.SeriesOutcome) -> dict[str, int]:
    return {
        link.patient_tag: link.key_version
        for link in _links(ended)
        if link.kind is PseudonymKind.PATIENT
    }
