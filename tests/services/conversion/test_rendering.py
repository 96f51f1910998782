"""Small pictures of any image."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from services.conversion import thumbnails
from services.conversion.process import Limits
from services.conversion.rendering import Outcome, render
from services.conversion.series import InstanceFacts, Refusal
from services.conversion.thumbnails import thumbnail
from services.dicom.phantoms.series import phantom_study


@pytest.fixture
def image(tmp_path: Path) -> pydicom.Dataset:
    files = phantom_study(1, shape=(3, 64, 64))
    found = pydicom.dcmread(io.BytesIO(files[1]))
    found.WindowCenter, found.WindowWidth = 40, 400
    return found


def drawn(image: pydicom.Dataset, folder: Path) -> np.ndarray:
    image.save_as(folder / "image.dcm")
    assert render(folder / "image.dcm", 0, folder / "out.png") is Outcome.DONE
    return np.asarray(Image.open(folder / "out.png"))


def test_monochrome1_is_drawn_inverted(image: pydicom.Dataset, tmp_path: Path) -> None:
    plain = drawn(image, tmp_path)
    image.PhotometricInterpretation = "MONOCHROME1"

    assert np.array_equal(drawn(image, tmp_path), 255 - plain)


def test_the_window_of_the_image_is_applied(image: pydicom.Dataset, tmp_path: Path) -> None:
    soft = drawn(image, tmp_path)
    image.WindowCenter, image.WindowWidth = -600, 1500

    assert soft[0, 0] == 0
    assert drawn(image, tmp_path).mean() > soft.mean()


def test_pixels_that_are_not_square_are_stretched(image: pydicom.Dataset, tmp_path: Path) -> None:
    image.PixelSpacing = [1.0, 2.0]

    rows, columns = drawn(image, tmp_path).shape

    assert (rows, columns) == (32, 64)


def test_a_window_of_no_width_or_rubbish_does_not_fail(
    image: pydicom.Dataset, tmp_path: Path
) -> None:
    image.WindowWidth = 0

    assert drawn(image, tmp_path).max() == 255


async def test_a_decoder_that_hangs_is_stopped_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "_START", "import time; time.sleep(60)  # {root}")
    monkeypatch.setattr(thumbnails, "LIMITS", Limits(seconds=0.5))
    path = Path(str(get_testdata_file("JPEG2000.dcm", download=False)))
    facts = InstanceFacts(transfer_syntax_uid="1.2.840.10008.1.2.4.91")

    outcome = await thumbnail(path, facts, tmp_path)

    assert outcome == Refusal(
        "CANNOT_DECODE", "The pixels cannot be decoded (JPEG 2000 Image Compression)."
    )


async def test_a_decoder_that_crashes_takes_nothing_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "_START", "import os; os.abort()  # {root}")
    facts = InstanceFacts(transfer_syntax_uid="1.2.840.10008.1.2.4.91")

    outcome = await thumbnail(tmp_path / "any", facts, tmp_path)

    assert isinstance(outcome, Refusal)
