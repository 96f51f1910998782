"""NIfTI in and out: axes, scaling, bounds, and bytes that are not one."""

from __future__ import annotations

import gzip
import itertools
from typing import Any

import nibabel as untyped_nibabel
import numpy as np
import pytest

from services.analysis.nifti import NiftiError, read_volume, write_labelmap
from tests.services.analysis.volumes import packed_nifti

nibabel: Any = untyped_nibabel

AXIS_ORDERS = list(itertools.permutations(range(3)))
SIGNS = list(itertools.product((1.0, -1.0), repeat=3))


@pytest.mark.parametrize(("order", "signs"), list(itertools.product(AXIS_ORDERS, SIGNS)))
def test_any_storage_order_comes_in_as_lps(
    order: tuple[int, ...], signs: tuple[float, ...]
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = 0.0
    for axis, world in enumerate(order):
        affine[world, axis] = signs[axis] * (1.0 + world)
    shape = tuple((3, 4, 5)[world] for world in order)
    stored = np.arange(60, dtype=np.int16).reshape(shape)

    volume = read_volume(packed_nifti(stored, affine), max_voxels=100)

    assert volume.voxels.shape == (5, 4, 3)
    assert volume.spacing_mm == (3.0, 2.0, 1.0)
    canonical = nibabel.as_closest_canonical(nibabel.Nifti1Image(stored, affine)).get_fdata()
    assert np.array_equal(volume.voxels, canonical[::-1, ::-1, :].transpose(2, 1, 0))


@pytest.mark.parametrize("signs", SIGNS)
def test_a_label_map_lies_on_the_grid_it_came_from(signs: tuple[float, ...]) -> None:
    affine = np.diag([*signs, 1.0])
    stored = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    volume = read_volume(packed_nifti(stored, affine), max_voxels=100)

    packed = write_labelmap(volume.voxels.astype(np.uint8), volume)

    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(packed))
    assert image.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(image.dataobj), stored)
    assert np.array_equal(image.affine, affine)


def test_the_same_labels_give_the_same_bytes() -> None:
    volume = read_volume(packed_nifti(np.zeros((3, 4, 5), np.int16), np.eye(4)), max_voxels=100)
    labelmap = np.ones((5, 4, 3), np.uint8)

    assert write_labelmap(labelmap, volume) == write_labelmap(labelmap, volume)


@pytest.mark.parametrize(
    ("stored", "slope", "intercept", "expected"),
    [
        (np.int16(-1000), None, None, -1000),
        (np.uint16(24), 1.0, -1024.0, -1000),
        (np.float32(-999.6), None, None, -1000),
        (np.int32(70000), None, None, 32767),
        (np.int16(10), 2.0, -5.0, 15),
    ],
)
def test_values_are_scaled_rounded_and_clipped(
    stored: Any, slope: float | None, intercept: float | None, expected: int
) -> None:
    array = np.full((2, 2, 2), stored)

    data = packed_nifti(array, np.eye(4), slope=slope, intercept=intercept)

    assert (read_volume(data, max_voxels=8).voxels == expected).all()


def test_what_is_not_finite_is_refused() -> None:
    array = np.full((2, 2, 2), np.nan, dtype=np.float32)

    with pytest.raises(NiftiError, match="finite"):
        read_volume(packed_nifti(array, np.eye(4)), max_voxels=8)


def test_too_many_voxels_are_refused_before_they_are_unpacked() -> None:
    bomb = packed_nifti(np.zeros((200, 200, 200), np.int16), np.eye(4))

    with pytest.raises(NiftiError, match="too many"):
        read_volume(bomb, max_voxels=1000)


@pytest.mark.parametrize("shape", [(4, 4), (2, 2, 2, 2)])
def test_only_three_axes_are_a_volume(shape: tuple[int, ...]) -> None:
    data = packed_nifti(np.zeros(shape, np.int16), np.eye(4))

    with pytest.raises(NiftiError, match="three axes"):
        read_volume(data, max_voxels=100)


@pytest.mark.parametrize(
    "data",
    [b"", b"DICM", gzip.compress(b""), gzip.compress(b"\0" * 348), gzip.compress(b"x" * 4000)],
    ids=["nothing", "DICM", "packed nothing", "packed zeros", "packed text"],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(NiftiError):
        read_volume(data, max_voxels=100)


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.95])
def test_a_cut_off_file_is_refused(kept: float) -> None:
    noise = np.random.default_rng(0).integers(-1000, 1000, (20, 20, 20)).astype(np.int16)
    data = packed_nifti(noise, np.eye(4))

    with pytest.raises(NiftiError):
        read_volume(data[: int(len(data) * kept)], max_voxels=10_000)
