"""Pictures of a volume: orientation, shape and window."""

from __future__ import annotations

import io
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from services.conversion.previews import MAX_SIDE, in_window, previews

AIR, BRIGHT = -1000, 400
# Signs of the voxel axes: however the volume is stored, the pictures are the same.
STORED = [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, 1)]


def volume(folder: Path, signs: tuple[int, int, int], *, swap: bool = False) -> Path:
    """A cube of 40 mm with a bright block to the right, front and top of the patient."""
    values = np.full((40, 40, 20), AIR, dtype=np.int16)
    values[18:36, 18:36, 9:18] = BRIGHT
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    for axis, sign in enumerate(signs):
        if sign < 0:
            values = np.flip(values, axis)
            affine[axis, 3] = affine[axis, axis] * (values.shape[axis] - 1)
            affine[axis, axis] *= -1
    if swap:
        values, affine = np.swapaxes(values, 0, 2), affine[:, [2, 1, 0, 3]]
    path = folder / "v.nii"
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(values), affine), path)
    return path


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("signs", STORED)
def test_right_is_left_front_and_head_are_up(
    tmp_path: Path, signs: tuple[int, int, int], swap: bool
) -> None:
    pictures = previews(volume(tmp_path, signs, swap=swap), "CT", hounsfield=True)

    assert [p.kind for p in pictures] == ["axial", "coronal", "sagittal"]
    for picture in pictures:
        grey = np.asarray(Image.open(io.BytesIO(picture.png)))
        assert grey.dtype == np.uint8
        quarter = grey.shape[0] // 4, grey.shape[1] // 4
        assert grey[quarter] == 255
        assert grey[-quarter[0], -quarter[1]] == 0
        assert grey[quarter[0], -quarter[1]] == 0


def test_pixels_are_square_in_millimetres(tmp_path: Path) -> None:
    values = np.zeros((100, 50, 10), dtype=np.int16)
    path = tmp_path / "v.nii"
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1.0, 1.0, 5.0, 1.0])), path)

    sizes = {
        p.kind: Image.open(io.BytesIO(p.png)).size for p in previews(path, "MR", hounsfield=False)
    }

    assert sizes == {
        "axial": (MAX_SIDE, MAX_SIDE // 2),
        "coronal": (MAX_SIDE, MAX_SIDE // 2),
        "sagittal": (MAX_SIDE, MAX_SIDE),
    }


def test_the_description_names_plane_window_and_side(tmp_path: Path) -> None:
    text = previews(volume(tmp_path, (1, 1, 1)), "CT", hounsfield=True)[0].alternative_text

    assert text == (
        "Middle axial slice of the CT volume, soft-tissue window (level 40 HU, width 400 HU). "
        "The patient's right is on the left, the front at the top."
    )


@pytest.mark.parametrize(
    ("hu", "grey"), [(-1000, 0), (-160, 0), (40, 128), (240, 255), (3000, 255), (np.nan, 0)]
)
def test_the_window_is_linear_between_its_ends(hu: float, grey: int) -> None:
    assert in_window(np.array([[hu]]), 40, 400)[0, 0] == grey
