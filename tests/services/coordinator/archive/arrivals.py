"""Made-up instances on their way into the index."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from services.coordinator.archive.arrival import Arrival, SeriesAttributes, StudyAttributes
from services.runtime.ids import new_id

TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def study(uid: str = "1.2.1", **more: str) -> StudyAttributes:
    """Return attributes of a study."""
    values = {
        "study_instance_uid": uid,
        "patient_id_text": "P1",
        "issuer_of_patient_id": "",
        "patient_name": "Doe^Jane",
        "patient_birth_date": "19700101",
        "patient_sex": "F",
        "study_date": "20260102",
        "study_time": "101112",
        "accession_number": "A1",
        "study_id_text": "1",
        "study_description": "CT Thorax",
        "referring_physician_name": "",
    }
    return StudyAttributes(**(values | more))


def arrival(
    of: StudyAttributes | None = None,
    number: int | None = 1,
    data: bytes = b"bytes",
    modality: str = "CT",
    **more: Any,
) -> Arrival:
    """Return an instance; its UIDs follow from its study, modality and number."""
    of = of or study()
    series_uid = f"{of.study_instance_uid}.{sum(modality.encode())}"
    sop_uid = f"{series_uid}.{number}" if number is not None else f"{series_uid}.9{more}"
    index = InstanceAttributes(
        sop_instance_uid=sop_uid, study_instance_uid=of.study_instance_uid, modality=modality
    )
    values: dict[str, Any] = {
        "study": of,
        "series": SeriesAttributes(series_uid, modality, "", 1, ""),
        "sop_instance_uid": sop_uid,
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
        "instance_number": number,
        "attributes": index.SerializeToString(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_bytes": len(data),
        "association_id": new_id(),
        "receive_time": TIME,
    }
    return Arrival(**(values | more))
