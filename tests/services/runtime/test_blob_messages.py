"""Names of blobs on the wire."""

from __future__ import annotations

import pytest

from services.runtime.blob_messages import blob_from_proto, blob_to_proto
from services.runtime.blob_ref import BlobRef
from services.runtime.errors import InvalidFieldError

SHA256 = "ab" * 32
DICOM = "application/dicom"


def test_a_name_goes_over_the_wire_and_back() -> None:
    ref = BlobRef(SHA256, 7, DICOM)

    assert blob_from_proto(blob_to_proto(ref)) == ref


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sha256": "../../etc/passwd"}, "image.sha256"),
        ({"sha256": "A" * 64}, "image.sha256"),
        ({"sha256": "a" * 63 + "\n"}, "image.sha256"),
        ({"size_bytes": -1}, "image.size_bytes"),
        ({"media_type": "text/html; x=\r\n"}, "image.media_type"),
        ({"media_type": ""}, "image.media_type"),
    ],
)
def test_a_malformed_name_is_refused(changes: dict[str, object], field: str) -> None:
    message = blob_to_proto(BlobRef(SHA256, 1, DICOM))
    for name, value in changes.items():
        setattr(message, name, value)

    with pytest.raises(InvalidFieldError) as caught:
        blob_from_proto(message, "image")

    assert caught.value.metadata["field"] == field
