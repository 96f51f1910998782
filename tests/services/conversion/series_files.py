"""Series on disk as the conversion under test gets them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pydicom

from heimdallr.conversion.v1 import conversion_service_pb2 as pb
from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from services.conversion.conversion import Converted, Instance, convert_series
from services.conversion.headers import read_facts
from services.conversion.process import Limits
from services.conversion.series import Refusal
from services.runtime.blob_messages import blob_to_proto
from services.runtime.local_blobs import LocalBlobs

DICOM = "application/dicom"


def dicom_files(folder: Path) -> list[Path]:
    """Return the DICOM files in and below a folder."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                if file.read(132)[128:] == b"DICM":
                    found.append(path)
    return found


async def convert_folder(files: Sequence[Path], folder: Path) -> tuple[Converted | Refusal, Path]:
    """Convert files as one series; return the outcome and the volume it wrote."""
    blobs = LocalBlobs(folder / "blobs", free_bytes=0)
    instances = [Instance(await blobs.put_file(path, DICOM), read_facts(path)) for path in files]
    work = folder / "work"
    work.mkdir(parents=True)
    outcome = await convert_series(instances, blobs, work, Limits(), lambda _share, _what: None)
    if isinstance(outcome, Converted):
        path = folder / "result.nii.gz"
        await blobs.copy_to(outcome.nifti, path)
        return outcome, path
    return outcome, folder


async def series_messages(blobs: LocalBlobs, files: Iterable[bytes]) -> list[pb.SeriesInstance]:
    """Store files and return them as a request names them."""
    messages = []
    for content in files:
        header = pydicom.dcmread(pydicom.filebase.DicomBytesIO(content), stop_before_pixels=True)
        attributes = InstanceAttributes(
            sop_class_uid=header.SOPClassUID,
            sop_instance_uid=header.SOPInstanceUID,
            series_instance_uid=header.SeriesInstanceUID,
            transfer_syntax_uid=header.file_meta.TransferSyntaxUID,
            modality=header.Modality,
            rows=header.get("Rows"),
            columns=header.get("Columns"),
            image_position_mm=map(float, header.get("ImagePositionPatient", ())),
            image_orientation=map(float, header.get("ImageOrientationPatient", ())),
            pixel_spacing_mm=map(float, header.get("PixelSpacing", ())),
        )
        blob = blob_to_proto(await blobs.put_bytes(content, DICOM))
        messages.append(pb.SeriesInstance(blob=blob, attributes=attributes))
    return messages
