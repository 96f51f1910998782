"""A study of which de-identification releases one object and holds two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydicom import Dataset, dcmread
from pydicom.uid import RawDataStorage

from services.cli.scu import Destination, send_files
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from tests.support.running_stack import RunningStack

SECRET: Final = "GUINEVERE"
NAME: Final = f"TESTER^{SECRET}"
_SHAPE: Final = (40, 96, 96)
_CLEAN, _NAMED, _UNREAD = 17, 18, 19
"""Instance numbers: released; held for the name among its pixels; held for its kind."""


def send_held_study(stack: RunningStack, folder: Path) -> None:
    """Send the study to a stack.

    Args:
        stack: Where to.
        folder: An empty folder for the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = write_series(ChestCtPhantom(4, shape=_SHAPE), folder, PhantomStudy(patient_name=NAME))
    chosen = [files[number - 1] for number in (_CLEAN, _NAMED, _UNREAD)]
    _change(chosen[1], _name_among_pixels)
    _change(chosen[2], _of_a_kind_that_is_not_read)
    destination = Destination("127.0.0.1", stack.dicom_port, "HEIMDALLR", "MODALITY")
    outcomes = send_files(chosen, destination, associations=1, on_outcome=lambda _: None)
    assert [one.status for one in outcomes] == [0, 0, 0], outcomes


def _change(file: Path, change: Callable[[Dataset], None]) -> None:
    dataset = dcmread(file)
    change(dataset)
    dataset.save_as(file, enforce_file_format=True)


def _name_among_pixels(dataset: Dataset) -> None:
    pixels = bytearray(dataset.PixelData)
    pixels[400 : 400 + len(SECRET)] = SECRET.encode()
    dataset.PixelData = bytes(pixels)


def _of_a_kind_that_is_not_read(dataset: Dataset) -> None:
    dataset.SOPClassUID = RawDataStorage
    dataset.file_meta.MediaStorageSOPClassUID = RawDataStorage
