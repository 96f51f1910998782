"""Every file of every corpus through ``heimdallr deid``: an outcome for each, nothing passed on."""

from __future__ import annotations

import hashlib
import json
import re
import resource
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.support.corpora import corpora_folder
from tests.support.dcmtk import dcmtk, require_dcmtk
from tests.support.instances import ct_instance, part10

pytestmark = [pytest.mark.soak, pytest.mark.corpora, pytest.mark.timeout(3600)]

_MOST_MIB = 1024
_SHORTEST = 6
_NUMBERS = ("PatientID", "AccessionNumber", "OtherPatientIDs", "PatientTelephoneNumbers")
_PLACEHOLDERS = re.compile(r"anonym|patient|unknown|^[\d.]{0,7}$|perfusion", re.IGNORECASE)


@pytest.mark.parametrize("preset", ["basic", "research"])
def test_every_file_is_released_clean_or_refused_by_name(
    preset: str, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    corpora = corpora_folder()
    if corpora is None:
        pytest.skip("no corpora beside the checkout")
    source = tmp_path / "in"
    sources = _copied(corpora, source)
    control = part10(ct_instance(size=8))
    (source / "zz-control.dcm").write_bytes(control)
    before = _listing(tmp_path)

    report = _deid(source, tmp_path, preset)

    entries = json.loads((tmp_path / "out/certificate.json").read_text())["entries"]
    outcomes = {entry["source_sha256"]: entry for entry in entries}
    asked = {name for name, data in sources.items() if data[128:132] == b"DICM"}
    assert asked <= outcomes.keys()
    assert outcomes[hashlib.sha256(control).hexdigest()]["outcome"] == "released"
    assert {path for path in _listing(tmp_path) - before if path.parts[0] != "out"} == {
        Path("key"),
        Path("report.html"),
    }
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < _MOST_MIB << 10
    told = json.dumps(report["refused"], default=str) + (tmp_path / "report.html").read_text()
    left: list[str] = []
    for name in asked:
        words = list(_identifiers(sources[name]))
        # A refusal names files by the paths that were given; the corpora's hold no identity.
        entry = outcomes[name]
        if entry["outcome"] == "released":
            path = tmp_path / "out" / entry["sha256"][:2] / f"{entry['sha256']}.dcm"
            data = path.read_bytes().lower()
            left += [name for word in words if word.lower().encode() in data]
        left += [name for word in words if f">{word}<" in told]
    assert left == []
    _assert_dcmtk_reads(tmp_path / "out")
    for outcome, count in Counter(entry["outcome"] for entry in entries).most_common():
        figure(f"{preset}: {count} {outcome}")


def _copied(corpora: Path, target: Path) -> dict[str, bytes]:
    """Copy every file of the corpora under a number, and return them by their hashes."""
    target.mkdir()
    found = {}
    files = (path for path in sorted(corpora.rglob("*")) if path.is_file())
    for number, path in enumerate(files):
        data = path.read_bytes()
        (target / f"{number:05}").write_bytes(data)
        found[hashlib.sha256(data).hexdigest()] = data
    return found


def _deid(source: Path, folder: Path, preset: str) -> dict[str, list[object]]:
    command = [sys.executable, "-m", "services.cli", "deid", str(source), str(folder / "out")]
    command += ["--key-file", str(folder / "key"), "--profile", preset, "--json"]
    command += ["--report", str(folder / "report.html"), "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 1, done.stderr[-2000:]
    found: dict[str, list[object]] = json.loads(done.stdout)
    return found


def _listing(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def _identifiers(data: bytes) -> Iterator[str]:
    """Yield what an object says of its patient, as another library reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = _read(data)
            people = [one for one in dataset.iterall() if one.VR == "PN" or one.keyword in _NUMBERS]
            texts = [str(one.value) for one in people]
        except Exception:  # what pydicom cannot read says nothing to it
            return
    for text in texts:
        words = (word for word in re.split(r"[\^=\s\\]+", text) if len(word) >= _SHORTEST)
        yield from (word for word in words if not _PLACEHOLDERS.search(word))


def _read(data: bytes) -> Dataset:
    from io import BytesIO

    return dcmread(BytesIO(data), stop_before_pixels=True)


def _assert_dcmtk_reads(folder: Path) -> None:
    require_dcmtk()
    files = sorted(str(path) for path in folder.rglob("*.dcm"))
    for at in range(0, len(files), 100):
        assert dcmtk("dcmdump", "--quiet", *files[at : at + 100]).returncode == 0
