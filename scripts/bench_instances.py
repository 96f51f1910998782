"""CT instances to send: as many as wanted, all different, drawn once and relabelled."""

from __future__ import annotations

import hashlib
import os
import tempfile
import uuid
from functools import cache
from pathlib import Path
from typing import Final

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series

CT_BYTES: Final = 512 * 512 * 2
_MARK_BYTES: Final = 16
_MULTIFRAME: Final = "1.2.840.10008.5.1.4.1.1.7.3"


@cache
def _template() -> tuple[bytes, bytes, bytes, bytes]:
    """A CT slice of 512 KiB, and its study, series and instance UID as they stand in it."""
    with tempfile.TemporaryDirectory() as folder:
        phantom = ChestCtPhantom(1, shape=(2, 512, 512), noise_hu=0.0)
        write_series(phantom, Path(folder), PhantomStudy())
        path = next(Path(folder).iterdir())
        header = pydicom.dcmread(path, stop_before_pixels=True)
        uids = header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID
        study, series, instance = (uid.encode("ascii") for uid in uids)
        return path.read_bytes(), study, series, instance


def draw(folder: Path, associations: int, count: int) -> list[Path]:
    """Write a study of so many instances for each association and return their folders."""
    data, study, series, instance = _template()
    folders = []
    for _ in range(associations):
        target = folder / uuid.uuid4().hex
        target.mkdir(parents=True)
        of_series = data.replace(study, _uid(study)).replace(series, _uid(series))
        for number in range(count):
            whole = of_series.replace(instance, _uid(instance))
            # Different pixels, so that a mix-up would show.
            (target / f"{number:06d}").write_bytes(whole[:-_MARK_BYTES] + uuid.uuid4().bytes)
        folders.append(target)
    return folders


def pixel_hash(file: bytes) -> str:
    """Return the SHA-256 of the pixels of one of our slices: its last bytes."""
    return hashlib.sha256(file[-CT_BYTES:]).hexdigest()


def sent_hashes(folders: list[Path]) -> list[str]:
    """Return the pixel hashes of everything in some folders, sorted."""
    return sorted(pixel_hash(path.read_bytes()) for f in folders for path in f.iterdir())


def write_large(path: Path, frames: int) -> None:
    """Write a multi-frame instance of 512 KiB a frame."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(_MULTIFRAME)
    meta.MediaStorageSOPInstanceUID = UID(f"2.25.{uuid.uuid4().int}")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = _MULTIFRAME
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = f"2.25.{uuid.uuid4().int}"
    dataset.SeriesInstanceUID = f"2.25.{uuid.uuid4().int}"
    dataset.PatientID, dataset.PatientName, dataset.Modality = "LARGE", "Large^One", "OT"
    dataset.Rows = dataset.Columns = 512
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.NumberOfFrames = frames
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.save_as(path, enforce_file_format=True)
    with path.open("ab") as file:
        # Pixel Data (7FE0,0010) OW, then frame by frame: the whole never lies in memory.
        file.write(b"\xe0\x7f\x10\x00OW\0\0" + (frames * CT_BYTES).to_bytes(4, "little"))
        frame = os.urandom(CT_BYTES)
        for _ in range(frames):
            file.write(frame)


def _uid(old: bytes) -> bytes:
    """Return a new UID of the same length, so that no length in the file changes."""
    new = f"2.25.{uuid.uuid4().int}".encode("ascii")[: len(old)]
    return new.ljust(len(old), b"1")
