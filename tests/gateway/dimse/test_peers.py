"""Real peers: DCMTK, pynetdicom, our own SCU, and a bad network between."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.scu import Destination, send_files
from services.dicom.errors import DicomError
from services.dicom.part10 import FileMeta, split_part10
from services.dicom.uids import valid_uid
from tests.gateway.conftest import Start, until
from tests.support.corpora import corpus
from tests.support.dcmtk import echoscu, require_dcmtk, storescu
from tests.support.instances import ct_instance, encoded, part10
from tests.support.proxy import FaultyProxy
from tests.support.scu import CT, EXPLICIT, Scu


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "study"
    (folder / "deep").mkdir(parents=True)
    paths = []
    for number in range(6):
        path = folder / ("deep" if number % 2 else "") / f"{number}.dcm"
        path.write_bytes(part10(ct_instance(number=number), implicit=number > 3))
        paths.append(path)
    (folder / "notes.txt").write_text("not DICOM")
    return paths


@pytest.mark.dcmtk
async def test_dcmtk_verifies_and_stores(start_gateway: Start, files: list[Path]) -> None:
    require_dcmtk()
    gateway = await start_gateway()

    echoed = await asyncio.to_thread(echoscu, gateway.port)
    stored = await asyncio.to_thread(storescu, gateway.port, files, "-R", "-xi")
    rest = await asyncio.to_thread(storescu, gateway.port, files)

    assert (echoed.returncode, stored.returncode, rest.returncode) == (0, 0, 0), rest.stderr
    assert len(gateway.intake.rows) == 6
    await until(lambda: len(gateway.intake.closed) == 2)
    assert all(end.released for end in gateway.intake.closed)


@pytest.mark.dcmtk
@pytest.mark.corpora
async def test_dcmtk_stores_encapsulated_pixel_data(start_gateway: Start) -> None:
    require_dcmtk()
    gateway = await start_gateway()
    folder = corpus("nema-wg04")

    compressed = {
        path: meta.transfer_syntax_uid
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (meta := _meta(path)) and meta.transfer_syntax_uid != EXPLICIT
    }
    one_each = {syntax: path for path, syntax in compressed.items()}
    outcomes = await asyncio.to_thread(
        send_files, list(one_each.values()), Destination("127.0.0.1", gateway.port)
    )

    assert len(one_each) >= 2
    assert [o.reason for o in outcomes if not o.stored] == []
    assert {i.attributes.transfer_syntax_uid for i in gateway.intake.instances} == set(one_each)


async def test_our_own_scu_stores_a_folder(start_gateway: Start, files: list[Path]) -> None:
    gateway = await start_gateway()
    arguments = ["send", str(files[0].parent), "--port", str(gateway.port), "--json"]

    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)

    report = _report(result.stdout)
    assert result.exit_code == 0
    assert (report["files"], report["stored"]) == (6, 6)
    assert len(gateway.intake.rows) == 6
    assert "PHANTOM" not in result.output


async def test_our_own_scu_says_which_file_is_not_stored(
    start_gateway: Start, files: list[Path], tmp_path: Path
) -> None:
    gateway = await start_gateway()
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(files[0].read_bytes()[:-100])
    text = files[0].parent / "notes.txt"
    arguments = ["send", str(files[1]), str(broken), str(text), "--port", str(gateway.port)]

    result = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--json"])

    outcomes = {o["path"]: o for o in _report(result.stdout)["outcomes"]}
    assert result.exit_code == 1
    assert outcomes[str(files[1])]["stored"]
    assert outcomes[str(broken)]["status"] == "C000"
    assert outcomes[str(text)]["reason"].startswith("not a DICOM file")


# pynetdicom forgets to close the socket of a refused connection.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_our_own_scu_reports_a_receiver_that_is_not_there(files: list[Path]) -> None:
    outcomes = send_files(files[:1], Destination("127.0.0.1", 1))

    assert [o.reason for o in outcomes] == ["cannot connect"]


def test_a_path_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["send", str(tmp_path / "nothing")]).exit_code == 2


async def test_a_network_that_cuts_costs_nothing_that_was_acknowledged(
    start_gateway: Start, files: list[Path]
) -> None:
    gateway = await start_gateway()
    async with FaultyProxy(gateway.port) as proxy:
        proxy.cut_after_bytes = 25_000
        first = await asyncio.to_thread(
            send_files, files, Destination("127.0.0.1", proxy.port), associations=1
        )
        proxy.cut_after_bytes = None
        proxy.delay_s = 0.005
        second = await asyncio.to_thread(
            send_files, files, Destination("127.0.0.1", proxy.port), associations=1
        )

    assert not all(outcome.stored for outcome in first)
    assert all(outcome.stored for outcome in second)
    assert len(gateway.intake.rows) == 6
    assert gateway.intake.conflicts == []


@pytest.mark.corpora
@pytest.mark.timeout(240)
async def test_every_hostile_file_gets_a_definite_status(start_gateway: Start) -> None:
    gateway = await start_gateway()
    paths = sorted(path for path in corpus("hostile").rglob("*") if path.is_file())

    def send_all() -> tuple[dict[Path, int], set[int]]:
        statuses, controls = {}, set()
        for path in paths:
            statuses[path] = _send_hostile(gateway.port, path)
            control = ct_instance(size=8)
            with Scu(gateway.port) as scu:
                scu.associate()
                controls.add(scu.store(encoded(control), control.SOPInstanceUID))
        return statuses, controls

    statuses, controls = await asyncio.to_thread(send_all)

    assert len(statuses) > 300
    assert controls == {0x0000}
    assert set(statuses.values()) <= {0x0000, 0x0117, 0xA900, 0xC000}
    made = [path for path in gateway.folder.rglob("*") if path.is_file()]
    named = [path for path in made if path.suffix != ".sock" and path.parent.name != "holds"]
    assert [path for path in named if len(path.stem) not in (12, 64)] == []


def _report(output: str) -> dict[str, Any]:
    """Return the JSON document among the gateway's own log lines."""
    report: dict[str, Any] = json.JSONDecoder().raw_decode(output[output.index("{\n") :])[0]
    return report


def _meta(path: Path) -> FileMeta | None:
    try:
        with path.open("rb") as file:
            return split_part10(file)[0]
    except DicomError:
        return None


def _send_hostile(port: int, path: Path) -> int:
    data = path.read_bytes()
    try:
        meta, offset = split_part10(data)
    except DicomError:
        meta, offset = FileMeta("", "", ""), 0
    sop_class = meta.sop_class_uid if valid_uid(meta.sop_class_uid) else CT
    instance = meta.sop_instance_uid or "1.2.3"
    with Scu(port) as scu:
        _, body = scu.associate(
            [(1, sop_class, (meta.transfer_syntax_uid or EXPLICIT,)), (3, CT, (EXPLICIT,))]
        )
        taken = b"\x21\x00" in body and body[body.index(b"\x21\x00") + 6] == 0
        context, offered = (1, sop_class) if taken else (3, CT)
        return scu.store(data[offset:], instance, offered, context, fragment_bytes=100_000)
