"""``heimdallr deid``: files in, proved files and a certificate out, without a stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.deid.key_files import add_version, make_key, read_key
from services.deid.pseudonyms import Pseudonyms, patient_key
from tests.support.instances import ct_instance, part10

runner = CliRunner()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        dataset = ct_instance(size=8, number=number)
        dataset.PatientName = "KANARIENVOGEL^ADELHEID"
        (folder / f"{number}.dcm").write_bytes(part10(dataset))
    (folder / "notes.txt").write_text("not DICOM")
    return folder


def deid(*arguments: object) -> tuple[int, dict[str, Any]]:
    result = runner.invoke(app, ["deid", *map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout.strip() else {}


def test_files_are_released_with_a_certificate_that_verifies(source: Path, tmp_path: Path) -> None:
    target, key = tmp_path / "out", tmp_path / "key"

    code, report = deid(source, target, "--key-file", key, "--workers", 2)
    verified, found = deid("verify", target, "--key-file", key)

    files = list(target.rglob("*.dcm"))
    assert (code, report["released"], report["refused"]) == (0, 3, [])
    assert (verified, found["valid"]) == (0, True)
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(files) == 3
    assert "KANARIENVOGEL" not in "".join(str(dcmread(path)) for path in files)
    assert "KANARIENVOGEL" not in (target / "certificate.json").read_text()


def test_what_is_refused_is_named_with_its_reason_and_not_released(
    source: Path, tmp_path: Path
) -> None:
    dataset = ct_instance(size=8)
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    (source / "document.dcm").write_bytes(part10(dataset))

    code, report = deid(source, tmp_path / "out", "--key-file", tmp_path / "key")

    (refused,) = report["refused"]
    assert code == 1
    assert refused["code"] == "ENCAPSULATED_DOCUMENT"
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 3


@pytest.mark.parametrize("change", ["certificate", "file", "more", "less", "key"])
def test_whatever_was_changed_does_not_verify(change: str, source: Path, tmp_path: Path) -> None:
    target, key = tmp_path / "out", tmp_path / "key"
    deid(source, target, "--key-file", key)
    file = next(target.rglob("*.dcm"))
    certificate = target / "certificate.json"
    if change == "certificate":
        certificate.write_text(certificate.read_text().replace('"sought": ', '"sought": 1'))
    elif change == "file":
        file.write_bytes(file.read_bytes()[:-2] + b"!!")
    elif change == "more":
        (target / f"{'0' * 64}.dcm").write_bytes(b"")
    elif change == "less":
        file.unlink()
    else:
        key.write_bytes(b"k" * 64)

    code, _ = deid("verify", target, "--key-file", key)

    assert code == 1


def test_wrong_usage_is_told(source: Path, tmp_path: Path) -> None:
    key = ("--key-file", tmp_path / "key")
    (tmp_path / "short").write_bytes(b"short")

    assert deid(source, source, *key)[0] == 2
    assert deid(source, tmp_path / "out", *key, "--profile", "nonsense")[0] == 2
    assert deid(source, tmp_path / "out", *key, "--options", "retain_uids,wish")[0] == 2
    assert deid(source, tmp_path / "out", "--key-file", tmp_path / "short")[0] == 2
    both = "retain_full_dates,retain_modified_dates"
    assert deid(source, tmp_path / "out", *key, "--options", both)[0] == 2


def test_a_report_names_files_by_their_hashes_and_holds_no_value(
    source: Path, tmp_path: Path
) -> None:
    dataset = ct_instance(size=8)
    dataset.SOPClassUID, dataset.PatientName = "1.2.840.10008.5.1.4.1.1.104.1", "<b>VOGEL"
    (source / "MUELLER_HANS.dcm").write_bytes(part10(dataset))
    page = tmp_path / "report.html"

    _, found = deid(source, tmp_path / "out", "--key-file", tmp_path / "key", "--report", page)

    text = page.read_text()
    released = [path.stem for path in (tmp_path / "out").rglob("*.dcm")]
    assert all(name in text for name in released)
    assert len(released) == 3
    assert "3 of 4 files released" in text
    assert "ENCAPSULATED_DOCUMENT" in text
    assert not any(
        word in text for word in ("KANARIENVOGEL", "VOGEL", "MUELLER", "http", "<script")
    )
    assert found["actions"]["U"] == 3 * 3
    assert found["actions"]["K"] > found["actions"]["D"] > 0


def test_a_projects_key_file_gives_the_pseudonyms_of_its_versions(
    source: Path, tmp_path: Path
) -> None:
    path, plain = tmp_path / "project.json", tmp_path / "plain"
    key = make_key(path)
    plain.write_bytes(b"a plain key of at least thirty-two bytes\n")
    add_version(path)

    deid(source, tmp_path / "old", "--key-file", path, "--key-version", 1)
    deid(source, tmp_path / "new", "--key-file", path)
    deid(source, tmp_path / "plain-out", "--key-file", plain)

    patients = [
        {dcmread(file).PatientID for file in (tmp_path / name).rglob("*.dcm")}
        for name in ("old", "new", "plain-out")
    ]
    known = patient_key("GATEWAY-1", "", "")
    assert patients[0] == {key.pseudonyms(1).patient(known)}
    assert patients[1] == {read_key(path).pseudonyms(2).patient(known)}
    assert patients[2] == {Pseudonyms(plain.read_bytes().strip()).patient(known)}
    assert deid("verify", tmp_path / "new", "--key-file", path)[0] == 0
    assert deid("verify", tmp_path / "plain-out", "--key-file", plain)[0] == 0
    assert deid(source, tmp_path / "x", "--key-file", path, "--key-version", 3)[0] == 2
    path.write_text('{"format": "another"}')
    assert deid(source, tmp_path / "x", "--key-file", path)[0] == 2
    assert deid("verify", tmp_path / "new", "--key-file", path)[0] == 2


def test_a_broken_file_is_named_and_not_passed_over(source: Path, tmp_path: Path) -> None:
    (source / "broken").write_bytes(bytes(128) + b"DICM" + b"\2\0\1")

    code, report = deid(source, tmp_path / "out", "--key-file", tmp_path / "key")

    assert code == 1
    assert [one["code"] for one in report["refused"]] == ["INVALID_DICOM"]
