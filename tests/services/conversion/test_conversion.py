"""Real series, converted by the real tool."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest

from services.conversion import tool
from services.conversion.conversion import Converted
from services.conversion.orientation import Plane
from services.conversion.process import Limits
from services.conversion.series import Refusal
from services.conversion.volume_file import load
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import write_series
from tests.services.conversion.series_files import convert_folder, dicom_files
from tests.support.corpora import corpus

SMALL = ChestCtPhantom(seed=3, shape=(30, 64, 64))


@pytest.fixture
def phantom_files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "phantom"
    folder.mkdir()
    return write_series(SMALL, folder)


def change(path: Path, **values: object) -> None:
    image = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(image, keyword, value)
    image.save_as(path)


async def test_the_phantom_keeps_every_voxel_in_hounsfield_units(
    phantom_files: list[Path], tmp_path: Path
) -> None:
    outcome, path = await convert_folder(phantom_files[::-1], tmp_path)

    assert isinstance(outcome, Converted)
    assert outcome.hounsfield
    assert outcome.plane is Plane.AXIAL
    assert outcome.findings == ()
    assert [p.kind for p in outcome.pictures] == ["axial", "coronal", "sagittal"]
    voxels = np.asarray(load(path).dataobj)
    # NIfTI: column, row from below, slice; the phantom: slice, row from above, column.
    assert np.array_equal(voxels, SMALL.volume_hu().transpose(2, 1, 0)[:, ::-1])
    z, y, x = SMALL.voxel_spacing_mm
    assert outcome.grid.spacing_mm == pytest.approx((x, y, z), rel=1e-5)


async def test_the_same_series_gives_the_same_blob_in_any_order(
    phantom_files: list[Path], tmp_path: Path
) -> None:
    first, _ = await convert_folder(phantom_files, tmp_path / "a")
    second, _ = await convert_folder(phantom_files[::-1], tmp_path / "b")

    assert isinstance(first, Converted)
    assert isinstance(second, Converted)
    assert first.nifti == second.nifti
    assert first.pictures == second.pictures


async def test_a_missing_slice_is_refused(phantom_files: list[Path], tmp_path: Path) -> None:
    outcome, _ = await convert_folder(phantom_files[:10] + phantom_files[11:], tmp_path)

    assert outcome == Refusal(
        "MISSING_SLICES",
        "The distance of the slices is uneven: 1 of 30 seem to be missing.",
    )


async def test_a_rescale_that_differs_between_slices_is_applied_to_each(
    phantom_files: list[Path], tmp_path: Path
) -> None:
    change(phantom_files[5], RescaleIntercept="-1000")

    outcome, path = await convert_folder(phantom_files, tmp_path)

    assert isinstance(outcome, Converted)
    voxels = np.asarray(load(path).dataobj)
    expected = SMALL.volume_hu().transpose(2, 1, 0)[:, ::-1].astype(float)
    expected[..., 5] += 24
    assert np.array_equal(voxels, expected)


async def test_ct_without_rescale_is_not_called_hounsfield(
    phantom_files: list[Path], tmp_path: Path
) -> None:
    for path in phantom_files:
        image = pydicom.dcmread(path)
        del image.RescaleIntercept, image.RescaleSlope
        image.save_as(path)

    outcome, _ = await convert_folder(phantom_files, tmp_path)

    assert isinstance(outcome, Converted)
    assert not outcome.hounsfield
    assert [f.code for f in outcome.findings] == ["NOT_HOUNSFIELD"]


async def test_an_encoding_that_nothing_here_decodes_is_named(
    phantom_files: list[Path], tmp_path: Path
) -> None:
    for path in phantom_files:
        image = pydicom.dcmread(path)
        image.file_meta.TransferSyntaxUID = pydicom.uid.JPEGExtended12Bit
        image.PixelData = pydicom.encaps.encapsulate([image.PixelData])
        image["PixelData"].VR = "OB"
        image.save_as(path)

    outcome, _ = await convert_folder(phantom_files, tmp_path)

    assert outcome == Refusal("CANNOT_DECODE", "Cannot decode JPEG Extended (Process 2 and 4).")


async def test_a_name_in_the_headers_reaches_no_file_of_ours(
    phantom_files: list[Path], tmp_path: Path
) -> None:
    for path in phantom_files:
        change(path, ProtocolName="../../CANARY^NAME", ImageComments="CANARY^NAME")

    outcome, path = await convert_folder(phantom_files, tmp_path)

    assert isinstance(outcome, Converted)
    assert not list(tmp_path.rglob("*CANARY*"))
    assert b"CANARY" not in load(path).header.binaryblock


@pytest.mark.corpora
@pytest.mark.parametrize(
    ("folder", "code"),
    [
        ("notavolume/001", "ONE_POSITION"),
        ("slicecount/001", "TOO_FEW_SLICES"),
        ("sliceincrement/001", "MISSING_SLICES"),
        ("sliceincrement/002", "MISSING_SLICES"),
        ("sliceorientation/001", "MIXED_ORIENTATION"),
    ],
)
async def test_what_dicom2nifti_refuses_is_refused(folder: str, code: str, tmp_path: Path) -> None:
    files = dicom_files(corpus("dicom2nifti") / "failing" / folder)

    outcome, _ = await convert_folder(files, tmp_path)

    assert isinstance(outcome, Refusal)
    assert outcome.code == code


@pytest.mark.corpora
@pytest.mark.parametrize(
    ("folder", "degrees", "taller"),
    [("dicom2nifti/failing/gantrytilting/001", "14.0", 521), ("ct-philips", "18.5", 600)],
)
async def test_gantry_tilt_is_corrected_and_said(
    folder: str, degrees: str, taller: int, tmp_path: Path
) -> None:
    files = dicom_files(corpus(folder))

    outcome, _ = await convert_folder(files, tmp_path)

    assert isinstance(outcome, Converted)
    assert outcome.findings[0].code == "GANTRY_TILT"
    assert f"{degrees} degrees, corrected" in outcome.findings[0].text
    assert outcome.grid.shape == (512, taller, len(files))


@pytest.mark.corpora
@pytest.mark.parametrize(
    "folder",
    [
        "ge/anatomical/001",
        "generic/compressed/001",
        "generic/compressed_jpeg/001",
        "generic/compressed_jpegls/001",
        "generic/compressed_rle/001",
        "siemens_multiframe/anatomical/001",
        "hyperfine/anatomical/001",
    ],
)
async def test_voxels_are_those_of_the_published_truth(folder: str, tmp_path: Path) -> None:
    source = corpus("dicom2nifti") / folder

    outcome, path = await convert_folder(dicom_files(source), tmp_path)

    assert isinstance(outcome, Converted)
    truth = np.asarray(load(Path(f"{source}_ground_truth.nii.gz")).dataobj)
    voxels = np.asarray(load(path).dataobj)
    assert np.array_equal(np.sort(voxels, axis=None), np.sort(truth, axis=None))


@pytest.mark.corpora
async def test_volumes_over_time_are_refused(tmp_path: Path) -> None:
    files = dicom_files(corpus("dicom2nifti") / "philips_enhanced/fmri/001")

    outcome, _ = await convert_folder(files, tmp_path)

    assert isinstance(outcome, Refusal)
    assert outcome.code == "MULTIPLE_VOLUMES"


@pytest.mark.corpora
@pytest.mark.parametrize("number", ["2", "3", "4"])
async def test_mosaics_are_identical_to_the_reference(number: str, tmp_path: Path) -> None:
    source = corpus("mr-12bit")
    (file,) = [p for p in dicom_files(source / "In") if series_number(p) == number]

    outcome, path = await convert_folder([file], tmp_path)

    assert isinstance(outcome, Converted)
    same_volume(path, source / "Ref" / f"{number}.nii")


@pytest.mark.corpora
async def test_the_tool_as_we_call_it_gives_the_reference_volumes(tmp_path: Path) -> None:
    source = corpus("mr-nih")
    groups: dict[str, list[Path]] = {}
    for path in dicom_files(source / "In"):
        groups.setdefault(reference_name(path), []).append(path)

    for name, files in groups.items():
        folder = tmp_path / name
        (folder / "in").mkdir(parents=True)
        for index, path in enumerate(files):
            shutil.copyfile(path, folder / "in" / f"{index:06d}.dcm")
        written = await tool.convert(folder / "in", folder, Limits())

        assert isinstance(written, tool.Written)
        same_volume(written.plain[0], source / "Ref" / name)
    assert len(groups) == 5


def series_number(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True).SeriesNumber)


def reference_name(path: Path) -> str:
    header = pydicom.dcmread(path, stop_before_pixels=True)
    return f"{header.ProtocolName.strip().replace(' ', '_')}_{header.SeriesNumber}.nii"


def same_volume(path: Path, reference: Path) -> None:
    ours, theirs = load(path), load(reference)
    assert np.array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj))
    assert np.array_equal(ours.affine, theirs.affine)
