"""Sources as messages of their contract, and back."""

from __future__ import annotations

from typing import Final

from heimdallr.sources.v1 import sources_service_pb2 as pb
from services.coordinator.sources.source import (
    Counts,
    Health,
    Kind,
    Progress,
    Schedule,
    Source,
    SourceSpec,
    Turn,
)
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id

_HEALTHS: Final = {
    Health.NEW: pb.HEALTH_NEW,
    Health.GOOD: pb.HEALTH_GOOD,
    Health.FAILING: pb.HEALTH_FAILING,
    Health.OVERDUE: pb.HEALTH_OVERDUE,
    Health.PAUSED: pb.HEALTH_PAUSED,
}
_MAX_TEXT: Final = 200
_MAX_CURSOR: Final = 65_536


def spec_from_proto(message: pb.SourceSpec) -> SourceSpec:
    """Return what is to be registered.

    Raises:
        InvalidFieldError: It says not what it is, or names no peer.
    """
    kind = message.WhichOneof("kind")
    name, schedule = message.name, _schedule(message.schedule)
    if kind == "watch_folder":
        folder = message.watch_folder
        return SourceSpec(
            name,
            Kind.WATCH_FOLDER,
            schedule,
            path=folder.path,
            settle_s=folder.settle_s,
            delete_stored=folder.delete_stored,
        )
    if kind == "orthanc":
        return SourceSpec(
            name,
            Kind.ORTHANC,
            schedule,
            peer_id=_peer_id(message.orthanc.peer_id, kind),
            rest_path=message.orthanc.rest_path,
            reconcile_every_h=message.orthanc.reconcile_every_h,
        )
    if kind is None:
        raise InvalidFieldError("spec.kind", "one of the kinds")
    return _queried(message, kind, schedule)


def spec_to_proto(spec: SourceSpec) -> pb.SourceSpec:
    """Return what is registered as a message."""
    message = pb.SourceSpec(name=spec.name, schedule=_schedule_to_proto(spec.schedule))
    wanted = pb.Filter(modalities=spec.modalities, days_back=spec.days_back)
    if spec.kind is Kind.WATCH_FOLDER:
        message.watch_folder.path = spec.path
        message.watch_folder.settle_s = spec.settle_s
        message.watch_folder.delete_stored = spec.delete_stored
    elif spec.kind is Kind.ORTHANC:
        message.orthanc.peer_id = spec.peer_id
        message.orthanc.rest_path = spec.rest_path
        message.orthanc.reconcile_every_h = spec.reconcile_every_h
    elif spec.kind is Kind.QIDO:
        message.qido.CopyFrom(pb.QidoPolling(peer_id=spec.peer_id, filter=wanted))
    else:
        polling = pb.DimsePolling(peer_id=spec.peer_id, filter=wanted, use_get=spec.use_get)
        message.dimse.CopyFrom(polling)
    return message


def source_to_proto(source: Source) -> pb.Source:
    """Return a source as a message."""
    state = source.state
    told = pb.SourceState(
        health=_HEALTHS[state.health(source.read_time)],
        paused=state.paused,
        running=state.running,
        failure=state.failure,
        failures=state.failures,
        last=_counts_to_proto(state.last),
        total=_counts_to_proto(state.total),
        progress=state.progress,
    )
    if state.last_run_time is not None:
        told.last_run_time.FromDatetime(state.last_run_time)
    if state.last_success_time is not None:
        told.last_success_time.FromDatetime(state.last_success_time)
    if not state.paused:
        told.next_run_time.FromDatetime(state.next_run_time)
    message = pb.Source(source_id=source.source_id, spec=spec_to_proto(source.spec), state=told)
    message.create_time.FromDatetime(source.create_time)
    message.update_time.FromDatetime(source.update_time)
    return message


def turn_to_proto(turn: Turn) -> pb.Turn:
    """Return a turn as a message."""
    return pb.Turn(
        turn_id=turn.turn_id,
        source=source_to_proto(turn.source),
        cursor=turn.cursor,
        reconcile=turn.reconcile,
        noticed_orthanc_ids=turn.noticed_orthanc_ids,
    )


def progress_from_proto(message: pb.TurnProgress) -> Progress:
    """Return how far a turn is.

    Raises:
        InvalidFieldError: A field is too long.
    """
    cursor = message.cursor if message.HasField("cursor") else None
    if cursor is not None and (len(cursor) > _MAX_CURSOR or "\0" in cursor):
        raise InvalidFieldError("progress.cursor", "at most 65536 characters")
    counts = message.counts
    return Progress(
        cursor,
        Counts(counts.studies, counts.stored, counts.known, counts.refused),
        checked_text(message.text, "progress.text"),
        tuple(message.done_orthanc_ids),
    )


def checked_text(text: str, field: str) -> str:
    """Return a sentence.

    Raises:
        InvalidFieldError: It is too long, or no sentence.
    """
    if len(text) > _MAX_TEXT or not text.isprintable():
        raise InvalidFieldError(field, "at most 200 printable characters")
    return text


def _queried(message: pb.SourceSpec, kind: str, schedule: Schedule) -> SourceSpec:
    polling = message.qido if kind == "qido" else message.dimse
    return SourceSpec(
        message.name,
        Kind(kind),
        schedule,
        peer_id=_peer_id(polling.peer_id, kind),
        modalities=tuple(polling.filter.modalities),
        days_back=polling.filter.days_back,
        use_get=kind == "dimse" and message.dimse.use_get,
    )


def _peer_id(text: str, kind: str) -> str:
    if not is_id(text):
        raise InvalidFieldError(f"spec.{kind}.peer_id", "one of our ids")
    return text


def _schedule(message: pb.Schedule) -> Schedule:
    when = message.WhichOneof("when")
    if when == "interval_s":
        return Schedule(interval_s=message.interval_s)
    return Schedule(times=tuple(message.daily.times), time_zone=message.daily.time_zone)


def _schedule_to_proto(schedule: Schedule) -> pb.Schedule:
    if not schedule.times:
        return pb.Schedule(interval_s=schedule.interval_s)
    return pb.Schedule(daily=pb.DailyTimes(times=schedule.times, time_zone=schedule.time_zone))


def _counts_to_proto(counts: Counts) -> pb.Counts:
    return pb.Counts(
        studies=counts.studies, stored=counts.stored, known=counts.known, refused=counts.refused
    )
