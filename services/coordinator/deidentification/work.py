"""What a stage has to do for a series, and what becomes of it. All in the caller's transaction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.coordinator.crosswalk.reidentification import Link, PseudonymKind
from services.coordinator.crosswalk.store import keep_links
from services.coordinator.deidentification.objects import ObjectState
from services.coordinator.deidentification.project import Project
from services.coordinator.deidentification.project_store import QUERIES
from services.coordinator.deidentification.rows import DICOM, project_from_row
from services.coordinator.events.outbox import EventDraft, EventType, append_event
from services.runtime.blob_ref import BlobRef
from services.runtime.ids import new_id
from services.runtime.postgres import Connection

_CODE: Final = re.compile(r"[A-Z0-9_]{1,64}", re.ASCII)
_UNNAMED: Final = "UNSPECIFIED"


@dataclass(frozen=True, slots=True)
class Source:
    """An instance that is to be de-identified.

    Attributes:
        asked: Up to which request of people it is made.
    """

    instance_id: str
    instance_number: int
    content: BlobRef
    approved_codes: tuple[str, ...]
    asked: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a stage has to do.

    Attributes:
        sources: By instance number; empty when all is done.
        key_versions: Versions of the key by which the study's patient is known, by patient tag.
    """

    project: Project
    study_id: str
    series_id: str
    sources: tuple[Source, ...]
    key_versions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an instance.

    Attributes:
        released: None when it is held.
        codes: Of the findings that hold it.
        details: ``heimdallr.deid.v1.InstanceOutcome`` with findings and boxes, serialized.
    """

    instance_id: str
    released: BlobRef | None
    new_instance_uid: str
    new_series_uid: str
    new_study_uid: str
    codes: tuple[str, ...]
    details: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """What a stage did."""

    outcomes: tuple[Outcome, ...]
    certificates: tuple[BlobRef, ...]
    links: tuple[Link, ...]
    key_id: str


@dataclass(frozen=True, slots=True)
class WantedStage:
    """A stage that a study's requests ask for; its version changes with what goes in."""

    project_id: str
    project: str
    series_id: str
    version: str


async def wanted_stages(
    connection: Connection, study_id: str, project_id: str | None = None
) -> list[WantedStage]:
    """Return the stages that a study's requests ask for, of one project or of all."""
    rows = await connection.fetch(QUERIES["wanted_stages"], study_id, project_id)
    return [WantedStage(**dict(row.items())) for row in rows]


async def assignment(
    connection: Connection, study_id: str, series_id: str, project_name: str
) -> Assignment | None:
    """Return what there is to do for a series; None when there is no such project."""
    row = await connection.fetchrow(QUERIES["project_by_name"], project_name)
    if row is None:
        return None
    project = project_from_row(row)
    sources = await connection.fetch(
        QUERIES["to_be_made"], project.project_id, series_id, project.profile_key
    )
    known = await connection.fetch(QUERIES["known_patients"], project.project_id, study_id)
    versions = {one["patient_tag"]: one["key_version"] for one in known}
    return Assignment(
        project,
        study_id,
        series_id,
        tuple(
            Source(
                one["instance_id"],
                one["instance_number"] or 0,
                BlobRef(one["sha256"], one["size_bytes"], DICOM),
                tuple(one["approved_codes"]),
                one["asked"],
            )
            for one in sources
        ),
        versions,
    )


async def keep(connection: Connection, done: Done, of: Assignment) -> str:
    """Keep what a stage did and return it in a sentence, over the whole series."""
    project_id = of.project.project_id
    deidentification_id = await put_series(connection, project_id, of.series_id)
    await _put_objects(connection, deidentification_id, done.outcomes, of)
    for certificate in done.certificates:
        await connection.execute(
            QUERIES["put_certificate"],
            deidentification_id,
            certificate.sha256,
            certificate.size_bytes,
            certificate.media_type,
        )
    await _note_patient(connection, deidentification_id, done)
    await keep_links(connection, project_id, done.links)
    newest = max((link.key_version for link in done.links), default=0)
    await connection.execute(QUERIES["note_key"], project_id, done.key_id, newest)
    return await count_objects(connection, deidentification_id)


async def put_series(connection: Connection, project_id: str, series_id: str) -> str:
    """Return our id of what is de-identified of a series, made when there was none."""
    found: str = await connection.fetchval(QUERIES["put_series"], new_id(), project_id, series_id)
    return found


async def count_objects(connection: Connection, deidentification_id: str) -> str:
    """Bring the counts of a series up to date, tell of it and return them in a sentence."""
    row = await connection.fetchrow(QUERIES["count_objects"], deidentification_id)
    assert row is not None  # noqa: S101 -- the caller has its row
    await append_event(
        connection,
        EventDraft(EventType.DEIDENTIFICATION_CHANGED, row["study_id"], series_id=row["series_id"]),
    )
    return summary_of(
        released=row["released_count"] + row["approved_count"],
        held=row["held_count"],
        rejected=row["rejected_count"],
    )


def summary_of(*, released: int, held: int, rejected: int) -> str:
    """Return what stands of a series, e.g. "12 released, 3 held for review"."""
    parts = [f"{released} released"]
    parts += [f"{held} held for review"] if held else []
    parts += [f"{rejected} rejected"] if rejected else []
    return ", ".join(parts)


def clean_codes(codes: Iterable[str]) -> tuple[str, ...]:
    """Return codes in order, each once; what has not the form of one under one name."""
    return tuple(sorted({code if _CODE.fullmatch(code) else _UNNAMED for code in codes}))


async def _put_objects(
    connection: Connection, deidentification_id: str, outcomes: Sequence[Outcome], of: Assignment
) -> None:
    sources = {source.instance_id: source for source in of.sources}
    await connection.execute(
        QUERIES["put_objects"],
        deidentification_id,
        of.project.profile_key,
        [one.instance_id for one in outcomes],
        [sources[one.instance_id].instance_number for one in outcomes],
        [_state(one) for one in outcomes],
        [one.released.sha256 if one.released else "" for one in outcomes],
        [one.released.size_bytes if one.released else 0 for one in outcomes],
        [one.new_instance_uid for one in outcomes],
        [one.new_series_uid for one in outcomes],
        [one.new_study_uid for one in outcomes],
        [",".join(one.codes) for one in outcomes],
        [one.details for one in outcomes],
    )
    await connection.execute(
        QUERIES["answer_objects"],
        deidentification_id,
        [one.instance_id for one in outcomes],
        [sources[one.instance_id].asked for one in outcomes],
    )


def _state(outcome: Outcome) -> str:
    return ObjectState.HELD if outcome.released is None else ObjectState.RELEASED


async def _note_patient(connection: Connection, deidentification_id: str, done: Done) -> None:
    patients = [link for link in done.links if link.kind is PseudonymKind.PATIENT]
    if not patients:
        return
    study_uid = next((one.new_study_uid for one in done.outcomes if one.new_study_uid), "")
    await connection.execute(
        QUERIES["note_patient"],
        deidentification_id,
        patients[0].pseudonym,
        patients[0].patient_tag,
        patients[0].key_version,
        study_uid,
    )
