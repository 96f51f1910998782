"""What is said of studies: manifests, performed steps and confirmed counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from services.coordinator.archive.study import StudyState
from services.coordinator.workflow.arrivals import ArrivingStudy, arriving_studies
from services.coordinator.workflow.completeness import is_stronger
from services.coordinator.workflow.store import QUERIES
from services.runtime.ids import new_id
from services.runtime.postgres import Connection, Pool, transaction


@dataclass(frozen=True, slots=True)
class Manifest:
    """What somebody says a study consists of.

    Attributes:
        study_instance_uid: The study.
        name: Takes the place of what was said under the same name.
        instances: SOP Instance UIDs by Series Instance UID.
        counts: Numbers of instances of series whose instances are not named.
        open: Whether more may be said: a procedure step has begun and not ended.
    """

    study_instance_uid: str
    name: str
    instances: Mapping[str, Sequence[str]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    open: bool = False


class Manifests:
    """Keeps what is said of studies, before, while and after they arrive.

    A study that was called complete for a lesser reason gets the better one; the completeness loop
    judges those that are arriving.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def declare(self, manifest: Manifest) -> ArrivingStudy | None:
        """Keep what a sender says; the study as it is, None when nothing of it has come."""
        async with transaction(self._pool) as borrowed:
            await _put(borrowed, manifest)
            return await _strengthened(borrowed, manifest.study_instance_uid)

    async def confirm(
        self, study_instance_uid: str, source: str, instance_count: int
    ) -> ArrivingStudy | None:
        """Keep how many instances a source has; the study, None when nothing of it has come."""
        async with transaction(self._pool) as borrowed:
            await borrowed.execute(
                QUERIES["put_confirmed_count"], study_instance_uid, source, instance_count
            )
            return await _strengthened(borrowed, study_instance_uid)

    async def step_began(
        self, connection: Connection, study_instance_uid: str, step_uid: str
    ) -> None:
        """Learn that a modality began a step: more of the study may come."""
        await _put(connection, Manifest(study_instance_uid, _of_step(step_uid), open=True))

    async def step_ended(
        self,
        connection: Connection,
        study_instance_uid: str,
        step_uid: str,
        series: Mapping[str, Sequence[str]],
    ) -> None:
        """Learn that a step has ended, and what it made when it says so."""
        await _put(connection, Manifest(study_instance_uid, _of_step(step_uid), series))
        await _strengthened(connection, study_instance_uid)


async def forget_orphans(connection: Connection, older: timedelta) -> int:
    """Forget what was said long ago of studies that never came, and return how much that was."""
    manifests = await connection.fetch(QUERIES["forget_manifests"], older)
    counts = await connection.fetch(QUERIES["forget_confirmed_counts"], older)
    return len(manifests) + len(counts)


async def _put(borrowed: Connection, manifest: Manifest) -> None:
    manifest_id = await borrowed.fetchval(
        QUERIES["put_manifest"],
        new_id(),
        manifest.study_instance_uid,
        manifest.name,
        manifest.open,
    )
    for query in ("clear_manifest_series", "clear_manifest_instances"):
        await borrowed.execute(QUERIES[query], manifest_id)
    await borrowed.execute(
        QUERIES["put_manifest_series"],
        manifest_id,
        list(manifest.counts),
        list(manifest.counts.values()),
    )
    named = [(uid, series) for series, uids in manifest.instances.items() for uid in uids]
    await borrowed.execute(
        QUERIES["put_manifest_instances"],
        manifest_id,
        [uid for uid, _ in named],
        [series for _, series in named],
    )


async def _strengthened(borrowed: Connection, study_instance_uid: str) -> ArrivingStudy | None:
    """Give a study that has arrived a better reason, if there is one, and return it."""
    study_id = await borrowed.fetchval(QUERIES["study_by_uid"], study_instance_uid)
    if study_id is None:
        return None
    (study,) = await arriving_studies(borrowed, [study_id], settled_too=True)
    known = study.arrival.known_evidence
    settled = study.state is not StudyState.RECEIVING
    if known is not None and settled and is_stronger(known, study.evidence):
        await borrowed.execute(QUERIES["strengthen_evidence"], study_id, known.value)
    return study


def _of_step(step_uid: str) -> str:
    return f"step:{step_uid}"
