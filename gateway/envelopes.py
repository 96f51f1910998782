"""What is handed over, as messages of the intake contract."""

from __future__ import annotations

from typing import Final

from gateway.handover import Departure, Received
from gateway.source import Door, Source
from heimdallr.imaging.v1.blob_ref_pb2 import BlobRef
from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from heimdallr.intake.v1 import intake_service_pb2 as pb
from services.dicom.attributes import IndexAttributes

_DOORS: Final = {
    Door.DIMSE: pb.DOOR_DIMSE,
    Door.DICOMWEB: pb.DOOR_DICOMWEB,
    Door.UPLOAD: pb.DOOR_UPLOAD,
    Door.SOURCE: pb.DOOR_SOURCE,
}
_NAMES: Final = tuple(
    field.name
    for field in InstanceAttributes.DESCRIPTOR.fields
    if field.name in IndexAttributes.__dataclass_fields__
)
"""Attributes bear the same name in both; a number that is absent stays unset."""


def instance_request(received: Received, *, chunked: bool) -> pb.IngestRequest:
    """Return the envelope of an instance, without a sequence yet.

    Args:
        received: The instance.
        chunked: Its bytes follow as chunks; otherwise they are staged in a shared blob store.
    """
    ref = received.staged.ref
    blob = BlobRef(sha256=ref.sha256, size_bytes=ref.size_bytes, media_type=ref.media_type)
    flushed = received.staged.flushed
    instance = pb.Instance(
        attributes=attributes_to_proto(received.staged.attributes),
        staged=blob if flushed and not chunked else None,
        written=None if flushed or chunked else blob,
        chunked=blob if chunked else None,
        source=_source(received.source),
    )
    # Timestamp.FromDatetime takes as long as all the rest of this function.
    microseconds = round(received.receive_time.timestamp() * 1e6)
    instance.receive_time.seconds, below = divmod(microseconds, 1_000_000)
    instance.receive_time.nanos = below * 1000
    return pb.IngestRequest(instance=instance)


def departure_request(departure: Departure) -> pb.IngestRequest:
    """Return the end of an association, without a sequence yet."""
    return pb.IngestRequest(
        association_closed=pb.AssociationClosed(
            association_id=departure.source.association_id,
            released=departure.released,
            instance_count=departure.stored_count,
            source=_source(departure.source),
        )
    )


def attributes_to_proto(attributes: IndexAttributes) -> InstanceAttributes:
    """Return index attributes as a message."""
    values = {name: getattr(attributes, name) for name in _NAMES}
    values["image_type"] = "\\".join(attributes.image_type)
    return InstanceAttributes(**values)


def _source(source: Source) -> pb.Source:
    return pb.Source(
        door=_DOORS[source.door],
        association_id=source.association_id,
        calling_ae_title=source.calling_ae_title,
        called_ae_title=source.called_ae_title,
        peer_address=source.peer_address,
    )
