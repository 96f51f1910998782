"""The short way into the index: more instances of what is being received already.

Most instances come to a study that is open and a series that is known. They need one statement;
the rest take `Indexer`'s way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from services.coordinator.archive.arrival import Arrival, Disposition, Held, Indexed
from services.coordinator.archive.growth import Growth, LockedStudy, growth_events
from services.coordinator.archive.rows import columns
from services.coordinator.archive.study import StudyState
from services.coordinator.events.outbox import append_events
from services.runtime.postgres import Connection
from services.runtime.queries import load_queries

_ADD: Final = load_queries("services.coordinator.archive", "known.sql")["add_to_known"]


async def add_to_known(
    connection: Connection, arrivals: Sequence[Arrival], *, tell: bool
) -> dict[str, Indexed]:
    """Add the instances whose study is open, of the same patient, and whose series is known.

    Args:
        connection: Its transaction, or none: then what was added is committed on return.
        arrivals: Instances in order of arrival.
        tell: Append the event of a study's growth where one is due; needs a transaction.

    Returns:
        What was added, by our instance id. The rest is untouched.
    """
    added = await connection.fetch(_ADD, *columns([_row(a) for a in arrivals]), tell)
    by_id = {arrival.instance_id: arrival for arrival in arrivals}
    if tell:
        await _tell(connection, added, by_id)
    return {
        arrival.instance_id: _indexed(row, arrival)
        for row in added
        for arrival in (by_id[str(row["instance_id"])],)
    }


def _row(arrival: Arrival) -> tuple[object, ...]:
    series = arrival.series
    return (
        arrival.instance_id,
        arrival.study.study_instance_uid,
        series.series_instance_uid,
        arrival.sop_instance_uid,
        arrival.sop_class_uid,
        series.modality,
        arrival.sha256,
        arrival.size_bytes,
        arrival.instance_number,
        arrival.attributes,
        arrival.association_id,
        arrival.receive_time,
        arrival.transfer_syntax_uid,
        arrival.number_of_frames,
        arrival.study.patient_id_text,
        arrival.study.issuer_of_patient_id,
    )


def _indexed(row: asyncpg.Record, arrival: Arrival) -> Indexed:
    held = Held(
        instance_id=arrival.instance_id,
        series_id=str(row["series_id"]),
        study_id=str(row["study_id"]),
        study_instance_uid=arrival.study.study_instance_uid,
        sha256=arrival.sha256,
        generation=row["generation"],
    )
    return Indexed(Disposition.STORED, held)


async def _tell(
    connection: Connection, added: Sequence[asyncpg.Record], by_id: dict[str, Arrival]
) -> None:
    growths: dict[str, Growth] = {}
    for row in added:
        study_id = str(row["study_id"])
        if row["told"] and study_id not in growths:
            study = LockedStudy(
                study_id, StudyState.RECEIVING, row["generation"], frozenset(), True, False
            )
            growths[study_id] = Growth(study, by_id[str(row["instance_id"])].correlation_id)
    await append_events(connection, [d for g in growths.values() for d in growth_events(g)])
