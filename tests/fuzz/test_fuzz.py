"""A minute of fuzzing for each reader of a stranger's bytes; what it found before is kept."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.support.instances import ct_instance, encoded, part10
from tests.support.requester import IMPLICIT, identifier
from tests.support.scu import CT, EXPLICIT, associate_request, data_pdus, store_command

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

SECONDS: Final = int(os.environ.get("HEIMDALLR_FUZZ_SECONDS", "60"))
CORPUS: Final = Path(__file__).parent / "corpus"
MEMORY_MIB: Final = 1024
TARGETS: Final = ("upper_layer", "identifier", "header_walk", "dicom_file", "multipart")
_DONE: Final = re.compile(r"Done (\d+) runs|stat::number_of_executed_units: (\d+)")


def seeds(target: str) -> list[bytes]:
    """Return valid bytes to begin with."""
    dataset = ct_instance(size=8)
    data = encoded(dataset)
    if target == "upper_layer":
        request = associate_request([(1, CT, (EXPLICIT,))])[6:]
        return [request, *(one[6:] for one in data_pdus(store_command("1.2.3")))]
    if target == "identifier":
        keys = {"QueryRetrieveLevel": "STUDY", "PatientName": "A*", "StudyDate": "20260101-"}
        return [b"\1" + identifier(**keys), b"\0" + identifier(IMPLICIT, **keys)]
    if target == "header_walk":
        return [b"\1" + data, b"\0" + encoded(dataset, implicit=True)]
    if target == "dicom_file":
        return [part10(dataset), part10(dataset, implicit=True)]
    part = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + data[:40] + b"\r\n"
    return [b"\x10" + part + part + b"--b--\r\n", b"\x01--b--"]


@pytest.mark.parametrize("target", TARGETS)
def test_no_bytes_raise_anything_but_what_they_may(
    target: str, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    for number, seed in enumerate(seeds(target)):
        (tmp_path / f"seed-{number}").write_bytes(seed)
    kept = CORPUS / target
    folders = [str(tmp_path), *([str(kept)] if kept.is_dir() else [])]
    limits = [f"-max_total_time={SECONDS}", "-timeout=20", f"-rss_limit_mb={MEMORY_MIB}"]
    options = [*limits, f"-artifact_prefix={tmp_path}/found-", "-print_final_stats=1"]

    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.targets", target, *options, *folders],
        capture_output=True,
        text=True,
        timeout=SECONDS + 300,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-4000:]
    runs = [one or other for one, other in _DONE.findall(done.stderr)]
    figure(f"fuzzing {target}: {runs[-1] if runs else '?'} runs in {SECONDS} s, nothing found")
