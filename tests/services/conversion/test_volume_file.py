"""NIfTI files and their gzipped form."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from services.conversion.volume_file import gzip_volume, load, read_grid


def write(path: Path, shape: tuple[int, ...], descrip: bytes = b"") -> np.ndarray:
    values = np.random.default_rng(1).integers(-1000, 1000, shape).astype(np.int16)
    image = nibabel.Nifti1Image(values, np.diag([1.0, 2.0, 3.0, 1.0]))
    image.header["descrip"] = descrip
    image.header["aux_file"] = b"a comment"
    nibabel.save(image, path)
    return values


# The larger one takes several blocks, so that joining them is tested.
@pytest.mark.parametrize("shape", [(3, 4, 5), (256, 256, 50)])
def test_a_gzipped_volume_reads_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = write(tmp_path / "v.nii", shape)

    gzip_volume(tmp_path / "v.nii", tmp_path / "v.nii.gz")

    read = load(tmp_path / "v.nii.gz")
    assert np.array_equal(np.asanyarray(read.dataobj), values)
    assert len(gzip.decompress((tmp_path / "v.nii.gz").read_bytes())) == 352 + values.nbytes


def test_the_same_voxels_give_the_same_bytes_whatever_the_header_says(tmp_path: Path) -> None:
    for name, descrip in (("a", b"Time=140352.457"), ("b", b"Time=101010.000")):
        write(tmp_path / f"{name}.nii", (64, 64, 30), descrip)
        gzip_volume(tmp_path / f"{name}.nii", tmp_path / f"{name}.nii.gz")

    first, second = ((tmp_path / f"{name}.nii.gz").read_bytes() for name in "ab")
    assert first == second
    assert b"comment" not in gzip.decompress(first)[:352]


def test_the_header_is_read_and_a_short_file_noticed(tmp_path: Path) -> None:
    path = tmp_path / "v.nii"
    write(path, (4, 4, 4))

    whole = read_grid(path)
    path.write_bytes(path.read_bytes()[:-10])
    short = read_grid(path)

    assert whole is not None
    assert (whole.shape, whole.spacing_mm, whole.missing_bytes) == ((4, 4, 4), (1, 2, 3), 0)
    assert short is not None
    assert short.missing_bytes == 10


@pytest.mark.parametrize("content", [b"", b"no volume" * 100])
def test_another_file_is_not_a_volume(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v.nii").write_bytes(content)

    assert read_grid(tmp_path / "v.nii") is None
