"""Adds a batch of instances to the index with a fixed number of statements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.coordinator.archive.arrival import (
    Arrival,
    Held,
    Indexed,
    Sorted,
    StudyAttributes,
    sort_arrivals,
)
from services.coordinator.archive.growth import Growth, LockedStudy, growth_events, study_growth
from services.coordinator.archive.rows import (
    columns,
    conflict_row,
    held_by,
    instance_row,
    series_row,
    study_row,
)
from services.coordinator.events.outbox import EventDraft, EventType, append_events
from services.runtime.ids import new_id
from services.runtime.postgres import Connection
from services.runtime.queries import load_queries

_QUERIES: Final = load_queries("services.coordinator.archive")

GenerationOpened = Callable[[Connection, str, int], Awaitable[None]]


class IndexRaceError(Exception):
    """Another transaction took the same study or SOP Instance UID; roll back and try again."""


async def generation_ignored(_connection: Connection, _study_id: str, _generation: int) -> None:
    """Do nothing when a generation opens."""


@dataclass(frozen=True, slots=True)
class AssociationEnd:
    """A sender that has gone."""

    association_id: str
    released: bool


class Indexer:
    """Writes instances, what they change in their studies, and the events of that.

    Locks are taken in one order everywhere: studies by Study Instance UID, patients, new studies,
    then what lies below them.

    Args:
        on_generation_opened: Called in the transaction with the study and its new generation.
    """

    def __init__(self, on_generation_opened: GenerationOpened = generation_ignored) -> None:
        self._on_generation_opened = on_generation_opened

    async def index(self, connection: Connection, arrivals: Sequence[Arrival]) -> list[Indexed]:
        """Add instances; what is known already changes nothing.

        Args:
            connection: Connection with an open transaction.
            arrivals: Instances in order of arrival.

        Returns:
            What became of each, in the order given.

        Raises:
            IndexRaceError: Nothing of the transaction may be kept; try again.
        """
        held = await self._held(connection, [a.sop_instance_uid for a in arrivals])
        batch = sort_arrivals(arrivals, held)
        if batch.new or batch.conflicts:
            studies = await self._studies(connection, batch, held)
            held = {**held, **await self._store(connection, batch.new, studies)}
            await self._keep_aside(connection, batch.conflicts, held)
        return [
            Indexed(disposition, held[arrival.sop_instance_uid])
            for arrival, disposition in zip(arrivals, batch.dispositions, strict=True)
        ]

    async def close_associations(
        self, connection: Connection, ends: Sequence[AssociationEnd]
    ) -> None:
        """Note that senders have gone."""
        ids = [end.association_id for end in ends]
        await connection.execute(_QUERIES["lock_associations"], ids)
        released = [end.released for end in ends]
        await connection.execute(_QUERIES["close_associations"], ids, released)

    async def _held(self, connection: Connection, uids: Sequence[str]) -> dict[str, Held]:
        rows = await connection.fetch(_QUERIES["held_instances"], uids)
        return {
            row["sop_instance_uid"]: Held(
                instance_id=str(row["instance_id"]),
                series_id=str(row["series_id"]),
                study_id=str(row["study_id"]),
                study_instance_uid=row["study_instance_uid"],
                sha256=row["sha256"],
                generation=row["generation"],
            )
            for row in rows
        }

    async def _studies(
        self, connection: Connection, batch: Sorted, held: Mapping[str, Held]
    ) -> dict[str, LockedStudy]:
        attributes: dict[str, StudyAttributes] = {}
        for arrival in batch.new.values():
            attributes.setdefault(arrival.study.study_instance_uid, arrival.study)
        of_conflicts = {
            held[a.sop_instance_uid].study_instance_uid
            for a in batch.conflicts
            if a.sop_instance_uid in held
        }
        rows = await connection.fetch(_QUERIES["lock_studies"], [*{*attributes, *of_conflicts}])
        studies = {
            row["study_instance_uid"]: LockedStudy(
                study_id=str(row["study_id"]),
                state=row["state"],
                generation=row["generation"],
                modalities=frozenset(row["modalities"]),
                tell_growth=row["tell_growth"],
                created=False,
                patient=(row["patient_id_text"], row["issuer_of_patient_id"]),
                mismatched=row["mismatched"],
            )
            for row in rows
        }
        missing = [study for uid, study in attributes.items() if uid not in studies]
        return {**studies, **await self._create_studies(connection, missing)}

    async def _create_studies(
        self, connection: Connection, missing: Sequence[StudyAttributes]
    ) -> dict[str, LockedStudy]:
        if not missing:
            return {}
        await self._hold_patients(connection, missing)
        created = {
            study.study_instance_uid: LockedStudy.fresh(new_id(), study.patient)
            for study in missing
        }
        rows = [study_row(created[s.study_instance_uid].study_id, s) for s in missing]
        added = await connection.fetch(_QUERIES["add_studies"], *columns(rows))
        if len(added) != len(missing):
            raise IndexRaceError
        return created

    async def _hold_patients(
        self, connection: Connection, studies: Sequence[StudyAttributes]
    ) -> None:
        patients = {study.patient_key: study for study in studies}
        await connection.execute(
            _QUERIES["add_patients"],
            [new_id() for _ in patients],
            list(patients),
            [study.patient_id_text for study in patients.values()],
            [study.issuer_of_patient_id for study in patients.values()],
        )
        held = await connection.fetch(_QUERIES["hold_patients"], list(patients))
        if len(held) != len(patients):
            # The last study of one was deleted just now, and the patient with it.
            raise IndexRaceError

    async def _store(
        self,
        connection: Connection,
        new: Mapping[str, Arrival],
        studies: Mapping[str, LockedStudy],
    ) -> dict[str, Held]:
        if not new:
            return {}
        growths = study_growth(new.values(), studies)
        series = await self._grow_series(connection, new.values(), growths)
        held = {
            uid: held_by(arrival, growths[arrival.study.study_instance_uid], series)
            for uid, arrival in new.items()
        }
        rows = [instance_row(arrival, held[uid]) for uid, arrival in new.items()]
        added = await connection.fetch(_QUERIES["add_instances"], *columns(rows))
        if len(added) != len(new):
            raise IndexRaceError
        await self._grow_studies(connection, growths.values())
        await self._note_associations(connection, new.values(), growths)
        return held

    async def _grow_series(
        self,
        connection: Connection,
        arrivals: Iterable[Arrival],
        growths: Mapping[str, Growth],
    ) -> dict[tuple[str, str], str]:
        counts: Counter[tuple[str, str]] = Counter()
        first: dict[tuple[str, str], Arrival] = {}
        for arrival in arrivals:
            key = (arrival.study.study_instance_uid, arrival.series.series_instance_uid)
            counts[key] += 1
            first.setdefault(key, arrival)
        rows = [series_row(a, growths[key[0]], counts[key]) for key, a in first.items()]
        fresh = {row[0] for row in rows}
        uids = {growth.study.study_id: uid for uid, growth in growths.items()}
        series: dict[tuple[str, str], str] = {}
        for row in await connection.fetch(_QUERIES["add_to_series"], *columns(rows)):
            uid, series_id = uids[str(row["study_id"])], str(row["series_id"])
            series[uid, row["series_instance_uid"]] = series_id
            growths[uid].new_series += series_id in fresh
        return series

    async def _grow_studies(self, connection: Connection, growths: Iterable[Growth]) -> None:
        growths = list(growths)
        rows = [
            (g.study.study_id, g.instances, g.new_series, g.generation, g.told, g.mismatches)
            for g in growths
        ]
        await connection.execute(_QUERIES["grow_studies"], *columns(rows))
        for growth in growths:
            if not growth.modalities <= growth.study.modalities:
                modalities = sorted(growth.modalities | growth.study.modalities)
                await connection.execute(
                    _QUERIES["set_modalities"], growth.study.study_id, modalities
                )
        await append_events(connection, [d for g in growths for d in growth_events(g)])
        for growth in growths:
            if growth.opened:
                await self._on_generation_opened(
                    connection, growth.study.study_id, growth.generation
                )

    async def _note_associations(
        self, connection: Connection, arrivals: Iterable[Arrival], growths: Mapping[str, Growth]
    ) -> None:
        pairs = {(a.association_id, a.study.study_instance_uid) for a in arrivals}
        rows = [
            (association_id, growths[uid].study.study_id, growths[uid].generation)
            for association_id, uid in pairs
        ]
        await connection.execute(_QUERIES["note_associations"], *columns(rows))

    async def _keep_aside(
        self, connection: Connection, conflicts: Sequence[Arrival], held: Mapping[str, Held]
    ) -> None:
        if not conflicts:
            return
        rows = [conflict_row(a, held[a.sop_instance_uid]) for a in conflicts]
        added = await connection.fetch(_QUERIES["add_conflicts"], *columns(rows))
        counts = Counter(str(row["study_id"]) for row in added)
        if not counts:
            return
        await connection.execute(_QUERIES["count_conflicts"], list(counts), list(counts.values()))
        correlation = {held[a.sop_instance_uid].study_id: a.correlation_id for a in conflicts}
        drafts = [
            EventDraft(EventType.INSTANCE_CONFLICT, study_id, correlation_id=correlation[study_id])
            for study_id in sorted(counts)
        ]
        await append_events(connection, drafts)
