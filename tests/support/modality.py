"""A modality in few words: slices, and associations that bring them."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association

from tests.support.instances import CT, ct_instance, part10

MODALITY: Final = "CTSCAN"


def slices(
    study: str, series: int, numbers: Sequence[int], patient_name: str = "PHANTOM^GATEWAY"
) -> list[Dataset]:
    """Return slices of a series; the same arguments give the same UIDs and bytes."""
    made = [
        ct_instance(
            study_uid=study,
            series_uid=f"{study}.{series}",
            sop_instance_uid=f"{study}.{series}.{number}",
            number=number,
            seed=series,
        )
        for number in numbers
    ]
    for dataset in made:
        dataset.PatientName = patient_name
    return [dcmread(BytesIO(part10(dataset))) for dataset in made]


def associate(port: int, *classes: str) -> Association:
    """Open an association for some SOP classes, by default for storage."""
    ae = AE(MODALITY)
    for sop_class in classes or (CT,):
        ae.add_requested_context(sop_class)
    association = ae.associate("127.0.0.1", port, ae_title="HEIMDALLR")
    assert association.is_established
    return association


def store(association: Association, datasets: Sequence[Dataset]) -> None:
    """Send instances, each acknowledged."""
    for dataset in datasets:
        assert association.send_c_store(dataset).Status == 0


def send(port: int, datasets: Sequence[Dataset]) -> None:
    """Send instances over an association that is released."""
    association = associate(port)
    store(association, datasets)
    association.release()
