"""What others make of de-identified objects: they check, parse and store them as before."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import highdicom
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from services.deid.deidentify import Deidentifier
from services.deid.profile.options import options_of
from services.deid.pseudonyms import Pseudonyms
from tests.services.deid.conftest import KEY
from tests.support.corpora import corpus
from tests.support.dcmtk import dcmtk, require_dcmtk
from tests.support.orthanc import RunningOrthanc, require_orthanc

pytestmark = pytest.mark.corpora

_PAIRS = tuple[tuple[Path, Path], ...]
_SEG, _SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88."


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> _PAIRS:
    """Files of a corpus beside what they became: CT, segmentations, reports, a value mapping."""
    target = tmp_path_factory.mktemp("released")
    deidentifier = Deidentifier(
        options_of("research", ["clean_structured_content", "clean_graphics"]), Pseudonyms(KEY)
    )
    return tuple(_released(deidentifier, target))


def _released(deidentifier: Deidentifier, target: Path) -> Iterator[tuple[Path, Path]]:
    sources = sorted(corpus("dcmqi").rglob("*.dcm"))
    sources += [corpus("highdicom") / name for name in ("seg_image_ct_binary.dcm",)]
    sources += sorted(corpus("highdicom").glob("*sr*.dcm"))
    for number, source in enumerate(sources):
        path = target / f"{number}.dcm"
        path.write_bytes(b"".join(deidentifier.deidentify(source.read_bytes()).parts))
        yield source, path


def test_dciodvfy_finds_no_error_that_the_source_had_not(pairs: _PAIRS) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dicom3tools are not installed (apt-get install dicom3tools)")

    new = {
        source.name: found
        for source, path in pairs
        if (found := set(_errors(path)) - set(_errors(source)))
    }

    assert new == {}


def _errors(path: Path) -> Counter[str]:
    done = subprocess.run(
        ["dciodvfy", "-new", str(path)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )
    lines = (done.stderr + done.stdout).splitlines()
    # Without values, and without numbers of items.
    return Counter(
        re.sub(r"\[\d+\]", "", re.sub(r"= <.*", "", line))
        for line in lines
        if line.startswith("Error")
    )


@pytest.mark.dcmtk
def test_dcmtk_parses_every_one(pairs: _PAIRS) -> None:
    require_dcmtk()

    dumped = dcmtk("dcmdump", "--quiet", *(str(path) for _, path in pairs))
    failed = [s.name for s, path in pairs if dcmtk("dcm2json", str(path)).returncode]

    assert (dumped.returncode, failed) == (0, [])


@pytest.mark.orthanc
def test_orthanc_stores_every_one_and_keeps_studies_together(pairs: _PAIRS) -> None:
    require_orthanc()
    studies = {dcmread(source).StudyInstanceUID for source, _ in pairs}

    with RunningOrthanc() as orthanc:
        for _, path in pairs:
            orthanc.post("/instances", path.read_bytes())
        stored, found = orthanc.instance_count(), orthanc.get("/studies")

    assert stored == len({dcmread(source).SOPInstanceUID for source, _ in pairs})
    assert len(found) == len(studies)


def test_highdicom_opens_segmentations_beside_their_images(pairs: _PAIRS) -> None:
    images = {dcmread(path).SOPInstanceUID for _, path in pairs}
    segmentations = [path for source, path in pairs if dcmread(source).SOPClassUID == _SEG]
    beside = 0
    for path in segmentations:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = highdicom.seg.segread(path)
            sources = [uid for _, _, uid in found.get_source_image_uids()]
            pixels = found.get_total_pixel_matrix() if found.is_tiled else found.pixel_array
        assert pixels.any()
        beside += bool(sources) and set(sources) <= images

    assert len(segmentations) >= 3
    assert beside >= 1


def test_highdicom_opens_reports_whose_references_hold(pairs: _PAIRS) -> None:
    known = {dcmread(path).SOPInstanceUID for _, path in pairs}
    reports = [path for source, path in pairs if dcmread(source).SOPClassUID.startswith(_SR)]
    beside = 0
    for path in reports:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = highdicom.sr.srread(path)
        assert [item for item in report.content if item.ValueType == "CONTAINER"]
        beside += bool(set(_referenced(report)) & known)

    assert beside >= 1


def _referenced(report: Dataset) -> Iterator[str]:
    for study in report.get("CurrentRequestedProcedureEvidenceSequence", ()):
        for series in study.ReferencedSeriesSequence:
            yield from (str(one.ReferencedSOPInstanceUID) for one in series.ReferencedSOPSequence)
