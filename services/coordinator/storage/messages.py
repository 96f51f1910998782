"""Rounds and what they found as messages."""

from __future__ import annotations

from typing import Final

from heimdallr.storage.v1 import storage_service_pb2 as pb
from services.coordinator.storage.rounds import Collection, Damage, DamageKind, Scrub

_KINDS: Final = {
    DamageKind.CORRUPT: pb.DAMAGE_KIND_CORRUPT,
    DamageKind.MISSING: pb.DAMAGE_KIND_MISSING,
}


def collection_to_proto(round_: Collection) -> pb.Collection:
    """Return a collection as it goes on the wire."""
    message = pb.Collection(
        collection_id=round_.collection_id,
        dry_run=round_.dry_run,
        examined_count=round_.examined_count,
        set_aside_count=round_.set_aside_count,
        set_aside_bytes=round_.set_aside_bytes,
        restored_count=round_.restored_count,
        deleted_count=round_.deleted_count,
        deleted_bytes=round_.deleted_bytes,
        young_count=round_.young_count,
        failed=round_.failed,
    )
    message.begin_time.FromDatetime(round_.begin_time)
    if round_.end_time is not None:
        message.end_time.FromDatetime(round_.end_time)
    return message


def scrub_to_proto(round_: Scrub) -> pb.Scrub:
    """Return a scrub as it goes on the wire."""
    message = pb.Scrub(
        scrub_id=round_.scrub_id,
        checked_count=round_.checked_count,
        checked_bytes=round_.checked_bytes,
        corrupt_count=round_.corrupt_count,
        missing_count=round_.missing_count,
        total_count=round_.total_count,
        rate_bytes=round_.rate_bytes,
    )
    message.begin_time.FromDatetime(round_.begin_time)
    if round_.end_time is not None:
        message.end_time.FromDatetime(round_.end_time)
    return message


def damage_to_proto(damage: Damage) -> pb.Damage:
    """Return a damage as it goes on the wire."""
    message = pb.Damage(
        sha256=damage.sha256,
        kind=_KINDS[damage.kind],
        study_id=damage.study_id,
        instance_id=damage.instance_id or "",
    )
    message.find_time.FromDatetime(damage.find_time)
    return message
