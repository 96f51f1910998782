"""Blob names as messages."""

from __future__ import annotations

from heimdallr.imaging.v1 import blob_ref_pb2 as pb
from services.runtime.blob_ref import BlobRef
from services.runtime.errors import InvalidFieldError


def blob_to_proto(ref: BlobRef) -> pb.BlobRef:
    """Return a blob's name as it goes on the wire."""
    return pb.BlobRef(sha256=ref.sha256, size_bytes=ref.size_bytes, media_type=ref.media_type)


def blob_from_proto(message: pb.BlobRef, field: str = "blob") -> BlobRef:
    """Return a blob's name as it came from the wire.

    Raises:
        InvalidFieldError: It does not have the form of one; `field` says where it stood.
    """
    try:
        return BlobRef(message.sha256, message.size_bytes, message.media_type)
    except ValueError as error:
        name, _, rule = str(error).partition(": ")
        raise InvalidFieldError(f"{field}.{name}", rule) from None
