"""The examples of docs/contracts.md run, with nothing of ours but the .proto files."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Final

import pytest

from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from services.runtime.client import MeshChannel
from tests.support.dcmtk import storescu
from tests.support.instances import ct_instance, part10
from tests.support.running_stack import RunningStack
from tests.support.studies import settled

pytestmark = [pytest.mark.stack, pytest.mark.triton, pytest.mark.dcmtk, pytest.mark.envoy]

ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """Python code made from the contracts alone, as an outsider would make it."""
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'protos'}"),
            f"-I{files('grpc_tools') / '_proto'}",
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            *map(str, (ROOT / "protos").rglob("*.proto")),
        ],
        check=True,
    )
    return out


def _run(example: str, stubs: Path, stack: RunningStack, token: str, *more: Path) -> list[str]:
    program = ROOT / "docs" / "examples" / example
    ran = subprocess.run(
        [sys.executable, program, f"127.0.0.1:{stack.http_port}", *more],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(stubs), "HEIMDALLR_TOKEN": token},
        cwd=stubs,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


def _token(stack: RunningStack, *options: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "token", "outsider", *options, "--data", stack.data],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.strip()


async def test_an_outside_client_lists_watches_and_fetches(
    stack: RunningStack, channel: MeshChannel, dcmtk: None, stubs: Path, tmp_path: Path
) -> None:
    study = PhantomStudy()
    folder = tmp_path / "series"
    folder.mkdir()
    write_series(ChestCtPhantom(2, shape=(24, 64, 64)), folder, study)
    assert storescu(stack.dicom_port, [folder], "+sd").returncode == 0
    await settled(channel, study.study_instance_uid)

    words = _run("outside_client.py", stubs, stack, _token(stack))
    web_words = _run("grpc_web.py", stubs, stack, _token(stack))

    assert "STUDY_STATE_READY" in words
    assert words[-1] == "whole"
    assert words[1] in web_words  # the same study by gRPC-Web
    assert web_words[web_words.index("grpc-status") + 1] == "0"


async def test_an_outside_client_has_its_files_deidentified(
    stack: RunningStack, stubs: Path, tmp_path: Path
) -> None:
    given, back = tmp_path / "in", tmp_path / "back"
    given.mkdir()
    for number in range(3):
        (given / f"{number}.dcm").write_bytes(part10(ct_instance(size=1024, number=number)))
    (given / "3.dcm").write_bytes(b"no DICOM")
    token = _token(stack, "--permission", "deid_run")

    words = _run("deidentify_client.py", stubs, stack, token, given, back)

    released = sorted(back.glob("*.dcm"))
    assert words.count("released") == 3
    assert words[-1] == "INVALID_DICOM"
    assert [one.stem for one in released] == [
        hashlib.sha256(one.read_bytes()).hexdigest() for one in released
    ]
    assert all(b"PHANTOM^GATEWAY" not in one.read_bytes() for one in released)
    certificate = json.loads((back / "certificate.json").read_text())
    assert {one["sha256"] for one in certificate["entries"]} == {*(p.stem for p in released), ""}
