"""ct_tissue as a real Triton serves it, and its agreement with TotalSegmentator."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import nibabel
import numpy as np
import pytest
import tritonclient.grpc
from ct_tissue.labels import Label
from ct_tissue.segmentation import segment
from numpy.typing import NDArray

from tests.support.triton import RunningTriton
from tests.triton_models.scenes import SPACING_MM, Trunk

CORPORA: Final = Path(
    os.environ.get("HEIMDALLR_CORPORA", Path(__file__).parents[3] / "shared" / "corpora")
)
LUNG_CLASSES: Final = range(10, 15)
BONE_CLASSES: Final = (*range(25, 51), *range(69, 79), *range(91, 117))
"""TotalSegmentator 2 `total`: lobes; sacrum and vertebrae, long bones to hips, skull to sternum."""

pytestmark = pytest.mark.triton


@pytest.fixture(scope="module")
def client(triton_server: RunningTriton) -> Iterator[Any]:
    with tritonclient.grpc.InferenceServerClient(triton_server.address) as client:
        client.load_model("ct_tissue")
        yield client


def infer(client: Any, hu: NDArray[Any], spacing_mm: tuple[float, ...]) -> NDArray[np.uint8]:
    volume = tritonclient.grpc.InferInput("VOLUME_HU", hu.shape, "INT16")
    volume.set_data_from_numpy(hu)
    spacing = tritonclient.grpc.InferInput("SPACING_MM", (3,), "FP32")
    spacing.set_data_from_numpy(np.array(spacing_mm, dtype=np.float32))
    result = client.infer("ct_tissue", [volume, spacing]).as_numpy("LABELMAP")
    return np.asarray(result)


def test_answers_as_the_same_code_does_outside_triton(client: Any) -> None:
    trunk = Trunk()
    trunk.lungs()
    trunk.noise(20.0)

    labelmap = infer(client, trunk.hu, SPACING_MM)

    assert labelmap.dtype == np.uint8
    assert np.array_equal(labelmap, segment(trunk.hu, SPACING_MM))


@pytest.mark.parametrize(
    "spacing_mm", [(0.0, 1.0, 1.0), (1.0, float("nan"), 1.0), (1.0, 1.0, 99.0)]
)
def test_implausible_spacing_is_an_invalid_argument(
    client: Any, spacing_mm: tuple[float, float, float]
) -> None:
    hu = np.zeros((2, 4, 4), dtype=np.int16)

    with pytest.raises(tritonclient.grpc.InferenceServerException) as caught:
        infer(client, hu, spacing_mm)

    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert "Traceback" not in str(caught.value)


@pytest.mark.corpora
def test_agrees_with_totalsegmentator_on_lung_and_bone(
    client: Any, figure: Callable[[str], None]
) -> None:
    folder = CORPORA / "totalsegmentator"
    if not folder.is_dir():
        pytest.skip(f"corpora are absent: {folder}")
    hu = in_lps(folder / "example_ct_sm.nii.gz").astype(np.int16)
    theirs = in_lps(folder / "example_seg.nii.gz")

    ours = infer(client, hu, (3.0, 3.0, 3.0))

    lung = dice(ours == Label.LUNGS, np.isin(theirs, LUNG_CLASSES))
    bone = dice(ours == Label.BONE, np.isin(theirs, BONE_CLASSES))
    figure(f"ct_tissue against TotalSegmentator, Dice: lung {lung:.3f}, bone {bone:.3f}")
    assert lung > 0.95
    assert bone > 0.83


def in_lps(path: Path) -> NDArray[Any]:
    """Read a NIfTI whose affine is diagonal and positive (RAS+), as (z, y, x) in LPS."""
    image = nibabel.Nifti1Image.from_filename(path)
    assert (np.diag(image.affine) > 0).all()
    return np.ascontiguousarray(np.asarray(image.dataobj).transpose(2, 1, 0)[:, ::-1, ::-1])


def dice(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> float:
    return (
        2.0 * np.count_nonzero(ours & theirs) / (np.count_nonzero(ours) + np.count_nonzero(theirs))
    )
