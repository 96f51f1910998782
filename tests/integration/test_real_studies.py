"""Real studies from real scanners: each ends ready, or held or refused with a reason."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.uid import generate_uid

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from services.cli.scu import dicom_files
from services.runtime.client import MeshChannel
from tests.support.corpora import corpus
from tests.support.dcmtk import storescu
from tests.support.nifti_series import read_nifti, write_ct_series
from tests.support.running_stack import RunningStack
from tests.support.studies import results, settled, workflow

pytestmark = [
    pytest.mark.stack,
    pytest.mark.triton,
    pytest.mark.dcmtk,
    pytest.mark.corpora,
]

# TotalSegmentator's classes of the task "total", version 2.
LUNG_LOBES = range(10, 15)
BONES = (*range(25, 51), *range(69, 79), *range(91, 117))

JPEG_2000_LOSSLESS = "-xv"

SENT_BY_DCMTK = [
    ("totalsegmentator", "example_ct_dicom", [JPEG_2000_LOSSLESS]),
    ("ct-philips", "", []),
    ("mr-nih", "In", []),
    ("mr-12bit", "In", []),
]


@pytest.mark.parametrize(("name", "folder", "options"), SENT_BY_DCMTK)
async def test_a_real_study_ends_with_a_result_or_a_reason(
    stack: RunningStack,
    channel: MeshChannel,
    dcmtk: None,
    name: str,
    folder: str,
    options: list[str],
    tmp_path: Path,
    figure: Callable[[str], None],
) -> None:
    root = corpus(name) / folder
    if name == "totalsegmentator":
        root = _with_uids(root, tmp_path)
    before = await _studies(channel)

    sent = storescu(stack.dicom_port, list(dicom_files([root])), *options)

    assert sent.returncode == 0, sent.stderr
    arrived = await _studies(channel) - before
    assert arrived
    for uid in arrived:
        study = await settled(channel, uid)
        work = await workflow(channel, study.study_id)
        for stage in work.stages:
            if stage.state in (pb.STAGE_STATE_HELD, pb.STAGE_STATE_REFUSED):
                figure(f"{name} {stage.name}: {stage.reason.text}")
                assert stage.reason.text.endswith(".")
        assert study.state == archive_pb.STUDY_STATE_READY or any(
            stage.state == pb.STAGE_STATE_HELD for stage in work.stages
        )


async def test_tissue_of_a_real_trunk_agrees_with_totalsegmentator(
    stack: RunningStack,
    channel: MeshChannel,
    dcmtk: None,
    tmp_path: Path,
    figure: Callable[[str], None],
) -> None:
    root = corpus("totalsegmentator")
    uid = write_ct_series(root / "example_ct.nii.gz", tmp_path)
    reference, _ = read_nifti(root / "example_seg.nii.gz")

    assert storescu(stack.dicom_port, [tmp_path], "+sd").returncode == 0
    study = await settled(channel, uid)

    found = await results(channel, study.study_id)
    analysis = found.series[0].analyses[0]
    labels = await _labelmap(channel, study.study_id, analysis.labelmap.sha256, tmp_path)
    values = {label.structure: label.value for label in analysis.labels}
    # The labels are those of the last slices: there the voxels of both published scans agree.
    ours = labels[:, :, -reference.shape[2] :]
    lungs = _dice(ours == values["lungs"], np.isin(reference, LUNG_LOBES))
    bone = _dice(ours == values["bone"], np.isin(reference, BONES))
    figure(f"Dice against TotalSegmentator: lungs {lungs:.3f}, bone {bone:.3f}")
    assert lungs > 0.9
    assert bone > 0.7


def _with_uids(root: Path, folder: Path) -> Path:
    """Fill in the UIDs that were emptied when this CT was published; nothing else is touched."""
    study, series = generate_uid(), generate_uid()
    for path in root.iterdir():
        dataset = dcmread(path)
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.save_as(folder / path.name)
    return folder


async def _studies(channel: MeshChannel) -> set[str]:
    listed = await ArchiveServiceStub(channel).ListStudies(
        archive_pb.ListStudiesRequest(page_size=500)
    )
    return {study.study_instance_uid for study in listed.studies}


async def _labelmap(
    channel: MeshChannel, study_id: str, sha256: str, folder: Path
) -> NDArray[np.uint8]:
    request = archive_pb.FetchResultRequest(study_id=study_id, sha256=sha256)
    chunks = [c.data async for c in ArchiveServiceStub(channel).FetchResult(request)]
    path = folder / "labels.nii"
    path.write_bytes(gzip.decompress(b"".join(chunks)))
    return read_nifti(path)[0].astype(np.uint8)


def _dice(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> float:
    return float(2 * np.sum(ours & theirs) / (ours.sum() + theirs.sum()))
