from __future__ import annotations

import pytest

from gateway.upload.directory import Located, read_references
from tests.gateway.upload.archives import dicomdir


def test_references_are_found_below_the_folder_of_the_directory() -> None:
    located = Located()
    located.add(b"CD1/dicom/img001")

    references = read_references(dicomdir(["DICOM", "IMG001"], ["DICOM", "IMG002"]), b"cd1")

    assert len(references.paths) == 2
    assert len(references.paths - located.keys) == 1
    assert references.refused_count == 0


@pytest.mark.parametrize(
    "reference",
    [
        ["..", "..", "etc", "passwd"],
        "/etc/passwd",
        ["A", "..", "B"],
        ["A/../../B"],
        ["C:", "X"],
        [".", "A"],
        ["A", "", "B"],
        "A" * 2000,
    ],
)
def test_a_reference_that_leads_out_of_the_folder_is_refused(reference: list[str] | str) -> None:
    references = read_references(dicomdir(reference, "FINE"), b"")

    assert references.refused_count == 1
    assert len(references.paths) == 1
