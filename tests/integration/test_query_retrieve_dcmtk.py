"""DCMTK's users as peers: they search us, and get what they ask for, over a whole stack."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

from services.runtime.client import MeshChannel
from tests.integration.peers import Exchange, dimse_address, sent_to_us, written
from tests.support.dcmtk import dcmtk as run_dcmtk
from tests.support.dcmtk import require_dcmtk, storescu
from tests.support.dcmtk_peers import Provider
from tests.support.instances import ct_instance, part10
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.dcmtk]

_STATUS = re.compile(r"DIMSE Status\s+: (0x[0-9a-f]{4})")


@pytest.fixture(scope="module")
def destination() -> Iterator[Provider]:
    require_dcmtk()
    with Provider(["--bit-preserving"]) as running:
        yield running


@pytest.fixture
async def registered(channel: MeshChannel, destination: Provider) -> AsyncIterator[None]:
    """Register DCMTK's users, who call from this machine, and where C-MOVE sends to."""
    exchange = Exchange(channel)
    for user in ("FINDSCU", "MOVESCU", "GETSCU"):
        await exchange.register(user.lower(), dimse=dimse_address(user, 104))
    await exchange.register(
        "destination", dimse=dimse_address("DEST", destination.port), move_destination=True
    )
    yield
    for name in ("findscu", "movescu", "getscu", "destination"):
        await exchange.forget(name)


def find(stack: RunningStack, folder: Path, *options: str) -> list[Path]:
    """Return the answers of a findscu as files."""
    folder.mkdir()
    command = ["-v", "-aec", "HEIMDALLR", "-X", "-od", str(folder), *options]
    found = run_dcmtk("findscu", *command, "127.0.0.1", str(stack.dicom_port))
    assert found.returncode == 0, found.stderr
    return sorted(folder.iterdir())


async def test_echoscu_is_answered(stack: RunningStack) -> None:
    answer = run_dcmtk("echoscu", "-aec", "HEIMDALLR", "127.0.0.1", str(stack.dicom_port))

    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("syntax", ["-xe", "-xi"])
@pytest.mark.usefixtures("registered")
async def test_findscu_finds_patients_studies_series_and_images(
    stack: RunningStack, tmp_path: Path, syntax: str
) -> None:
    study_uid = sent_to_us(stack, tmp_path, 3)
    study = f"StudyInstanceUID={study_uid}"
    keys = {
        "study": ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", study, "-k", "ModalitiesInStudy"],
        "series": ["-S", "-k", "QueryRetrieveLevel=SERIES", "-k", study, "-k", "SeriesInstanceUID"],
    }

    [found] = find(stack, tmp_path / "studies", syntax, *keys["study"])
    [series] = find(stack, tmp_path / "series", syntax, *keys["series"])
    series_uid = dcmread(series, force=True).SeriesInstanceUID
    image = ["-S", "-k", "QueryRetrieveLevel=IMAGE", "-k", study, "-k", "SOPInstanceUID"]
    image += ["-k", f"SeriesInstanceUID={series_uid}", "-k", "InstanceNumber"]
    images = find(stack, tmp_path / "images", syntax, *image)
    patient = ["-P", "-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=GATEWAY-1"]
    [who] = find(stack, tmp_path / "patients", syntax, *patient, "-k", "PatientName")

    assert dcmread(found, force=True).ModalitiesInStudy == "CT"
    assert sorted(dcmread(path, force=True).InstanceNumber for path in images) == [1, 2, 3]
    assert str(dcmread(who, force=True).PatientName) == "PHANTOM^GATEWAY"


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        (["PatientName=WALLENSTEIN*"], 2),
        (["PatientName=wallenstein^albrecht"], 1),
        (["PatientName=*STEIN^?LBR*"], 1),
        (["PatientName=WALLENSTEIN*", "StudyDate=16340201-16340228"], 1),
        (["PatientName=WALLENSTEIN*", "StudyDate=-16340225"], 2),
        (["PatientName=WALLENSTEIN*", "StudyDate=16340226-"], 0),
        (["PatientID=WALLEN%"], 0),
        (["PatientID=' OR 1=1 --"], 0),
        (["AccessionNumber=EGER-?", "PatientName=WALLENSTEIN*"], 2),
        (["ModalitiesInStudy=CT", "PatientName=WALLENSTEIN*"], 2),
        (["ModalitiesInStudy=MR", "PatientName=WALLENSTEIN*"], 0),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
@pytest.mark.usefixtures("registered", "two_studies")
async def test_every_kind_of_matching_finds_what_it_says(
    stack: RunningStack, tmp_path: Path, keys: list[str], count: int
) -> None:
    options = [part for key in keys for part in ("-k", key)]
    asked = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID", *options]

    found = find(stack, tmp_path / "found", *asked)

    assert len(found) == count


@pytest.fixture(scope="module")
def two_studies(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two studies of patients of one family."""
    folder = tmp_path_factory.mktemp("two")
    for number, (name, date) in enumerate(
        (("WALLENSTEIN^ALBRECHT", "16340225"), ("WALLENSTEIN^ISABELLA", "16331224"))
    ):
        image = ct_instance(size=16, number=number)
        image.PatientName, image.PatientID = name, f"WALLENSTEIN-{number}"
        image.StudyDate, image.AccessionNumber = date, f"EGER-{number}"
        path = folder / f"{number}.dcm"
        path.write_bytes(part10(image))
        assert storescu(stack.dicom_port, [path]).returncode == 0


@pytest.mark.usefixtures("registered")
async def test_movescu_moves_a_study_to_a_registered_destination(
    stack: RunningStack, destination: Provider, tmp_path: Path
) -> None:
    study_uid, paths = written(tmp_path, 4)
    assert storescu(stack.dicom_port, paths).returncode == 0
    command = ["-v", "-S", "-aec", "HEIMDALLR", "-aem", "DEST", "-k", "QueryRetrieveLevel=STUDY"]

    moved = run_dcmtk(
        "movescu",
        *command,
        "-k",
        f"StudyInstanceUID={study_uid}",
        "127.0.0.1",
        str(stack.dicom_port),
    )

    arrived = [dcmread(path) for path in destination.files]
    ours = [one for one in arrived if one.StudyInstanceUID == study_uid]
    sent = {dcmread(path).SOPInstanceUID: dcmread(path).PixelData for path in paths}
    assert moved.returncode == 0, moved.stderr
    assert {one.SOPInstanceUID: one.PixelData for one in ours} == sent


@pytest.mark.usefixtures("registered")
async def test_movescu_to_a_destination_nobody_registered_is_refused(
    stack: RunningStack, tmp_path: Path
) -> None:
    study_uid = sent_to_us(stack, tmp_path, 1)
    command = ["-d", "-S", "-aec", "HEIMDALLR", "-aem", "NOWHERE", "-k", "QueryRetrieveLevel=STUDY"]

    moved = run_dcmtk(
        "movescu",
        *command,
        "-k",
        f"StudyInstanceUID={study_uid}",
        "127.0.0.1",
        str(stack.dicom_port),
    )

    assert "0xa801" in [status.lower() for status in _STATUS.findall(moved.stderr)]


@pytest.mark.parametrize("syntax", ["+xe", "+xi"])
@pytest.mark.usefixtures("registered")
async def test_getscu_gets_a_study(stack: RunningStack, tmp_path: Path, syntax: str) -> None:
    study_uid, paths = written(tmp_path, 4)
    assert storescu(stack.dicom_port, paths).returncode == 0
    folder = tmp_path / "got"
    folder.mkdir()

    got = run_dcmtk(
        "getscu",
        *["-v", "-S", "-aec", "HEIMDALLR", syntax, "-od", str(folder)],
        *["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_uid}"],
        "127.0.0.1",
        str(stack.dicom_port),
    )

    received = [dcmread(path) for path in folder.iterdir()]
    sent = {dcmread(path).SOPInstanceUID: dcmread(path).PixelData for path in paths}
    assert got.returncode == 0, got.stderr
    assert {one.SOPInstanceUID: one.PixelData for one in received} == sent


@pytest.mark.usefixtures("registered")
async def test_a_compressed_instance_is_decoded_for_a_peer_that_takes_it_plain(
    stack: RunningStack, destination: Provider, tmp_path: Path
) -> None:
    image = ct_instance(size=32)
    pixels = image.PixelData
    path = tmp_path / "rle.dcm"
    compressed = dcmread(BytesIO(part10(image)))
    compressed.compress(RLELossless, generate_instance_uid=False)
    compressed.save_as(path)
    assert storescu(stack.dicom_port, [path], "-xr").returncode == 0
    folder = tmp_path / "got"
    folder.mkdir()
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={image.StudyInstanceUID}"]
    where = ["127.0.0.1", str(stack.dicom_port)]

    got = run_dcmtk("getscu", "-S", "-aec", "HEIMDALLR", "-od", str(folder), *keys, *where)
    moved = run_dcmtk("movescu", "-S", "-aec", "HEIMDALLR", "-aem", "DEST", *keys, *where)

    [received] = [dcmread(one) for one in folder.iterdir()]
    arrived = [dcmread(one) for one in destination.files]
    [sent_on] = [one for one in arrived if one.SOPInstanceUID == image.SOPInstanceUID]
    assert (got.returncode, moved.returncode) == (0, 0), got.stderr + moved.stderr
    assert received.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert received.PixelData == pixels
    assert sent_on.PixelData == pixels


async def test_whoever_nobody_registered_finds_nothing(stack: RunningStack, tmp_path: Path) -> None:
    command = ["-d", "-S", "-aet", "STRANGER", "-aec", "HEIMDALLR"]
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={generate_uid()}"]

    found = run_dcmtk("findscu", *command, *keys, "127.0.0.1", str(stack.dicom_port))

    assert "0x0124" in [status.lower() for status in _STATUS.findall(found.stderr)]
