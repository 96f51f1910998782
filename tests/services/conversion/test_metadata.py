"""Series metadata as DICOM JSON."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from services.conversion.headers import read_facts
from services.conversion.metadata import write_metadata
from services.conversion.series import InstanceFacts
from services.dicom.phantoms.series import phantom_study
from tests.services.conversion.series_files import dicom_files
from tests.support.corpora import corpus

KNOWN = InstanceFacts(
    sop_class_uid="1.2.3",
    sop_instance_uid="1.2.4",
    study_instance_uid="1.2.5",
    series_instance_uid="1.2.6",
)


def objects(path: Path) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))
    return content


def test_instances_stand_in_the_order_given(tmp_path: Path) -> None:
    paths = []
    for number, content in enumerate(phantom_study(1, shape=(4, 64, 64))):
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(content)

    write_metadata(paths[::-1], [KNOWN] * 4, tmp_path / "out")

    assert [o["00200013"]["Value"] for o in objects(tmp_path / "out")] == [[4], [3], [2], [1]]


@pytest.mark.parametrize("content", [b"", b"no DICOM", b"\0" * 128 + b"DICM" + b"\x02\x00"])
def test_an_unreadable_instance_is_there_with_its_identifiers(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "odd"
    path.write_bytes(content)

    write_metadata([path], [KNOWN], tmp_path / "out")

    assert objects(tmp_path / "out") == [
        {
            "00080016": {"vr": "UI", "Value": ["1.2.3"]},
            "00080018": {"vr": "UI", "Value": ["1.2.4"]},
            "0020000D": {"vr": "UI", "Value": ["1.2.5"]},
            "0020000E": {"vr": "UI", "Value": ["1.2.6"]},
        }
    ]


@pytest.mark.corpora
@pytest.mark.parametrize("name", ["hostile", "charset"])
def test_every_hostile_file_has_metadata(name: str, tmp_path: Path) -> None:
    files = dicom_files(corpus(name))

    write_metadata(files, [read_facts(path) for path in files], tmp_path / "out")

    assert len(objects(tmp_path / "out")) == len(files) > 0


def test_bulk_data_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(next(iter(phantom_study(1, shape=(4, 64, 64)))))

    write_metadata([path], [KNOWN], tmp_path / "out")

    (found,) = objects(tmp_path / "out")
    uri = found["7FE00010"]["BulkDataURI"]
    root, _, value = uri.partition("/bulkdata/7FE00010/")
    assert root == "studies/1.2.5/series/1.2.6/instances/1.2.4"
    offset, length = map(int, value.split("/"))
    assert length == 64 * 64 * 2
    assert 0 < offset < path.stat().st_size - length
