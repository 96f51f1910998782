"""Peers outside, over a whole stack: what DCMTK and Orthanc then have names nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from heimdallr.deid.v1 import project_service_pb2 as project_pb
from heimdallr.deid.v1.profile_pb2 import PROFILE_PRESET_BASIC, Profile
from heimdallr.deid.v1.project_service_pb2_grpc import DeidProjectServiceStub
from heimdallr.dicomweb.v1 import dicomweb_client_service_pb2 as web_pb
from heimdallr.dimse.v1 import dimse_service_pb2 as pb
from heimdallr.peers.v1 import peers_service_pb2 as peers_pb
from services.runtime.client import MeshChannel
from tests.integration.peers import Exchange, dimse_address, drained, refused
from tests.support.dcmtk import dcmtk as run_dcmtk
from tests.support.dcmtk import require_dcmtk, storescu
from tests.support.dcmtk_peers import Provider
from tests.support.instances import ct_instance, part10
from tests.support.orthanc import RunningOrthanc, require_orthanc
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.dcmtk]

ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
OF_BOTH = (
    *("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientName", "PatientID"),
    *("AccessionNumber", "PatientBirthDate", "Modality", "InstanceNumber"),
)
SECRETS = (b"KANARIENVOGEL", b"ADELHEID", b"KV-4711-99", b"ACC-8812", b"19540312")


@pytest.fixture
async def exchange(channel: MeshChannel) -> AsyncIterator[Exchange]:
    found = Exchange(channel)
    yield found
    await found.forget("cloud")


@pytest.fixture
async def project(channel: MeshChannel) -> str:
    stub = DeidProjectServiceStub(channel)
    listed = (await stub.ListProjects(project_pb.ListProjectsRequest())).projects
    for one in listed:
        if one.name == "cloud":
            return one.project_id
    wanted = project_pb.Project(name="cloud", profile=Profile(preset=PROFILE_PRESET_BASIC))
    made = await stub.CreateProject(project_pb.CreateProjectRequest(project=wanted))
    return made.project.project_id


@pytest.fixture
def outside() -> Iterator[Provider]:
    require_dcmtk()
    with Provider() as running:
        yield running


def document(image: Dataset) -> Dataset:
    """Return a document of the patient of an image, in its series."""
    made = Dataset()
    for keyword in OF_BOTH:
        setattr(made, keyword, image[keyword].value)
    made.SOPClassUID, made.MIMETypeOfEncapsulatedDocument = ENCAPSULATED_PDF, "application/pdf"
    made.EncapsulatedDocument = b"%PDF-1.7"
    return made


def sent(stack: RunningStack, folder: Path, *, held: int = 0) -> str:
    """Send a study of somebody to the stack; documents, of which some may be, are held."""
    study_uid, series_uid = generate_uid(), generate_uid()
    paths = []
    for number in range(4):
        image = ct_instance(study_uid=study_uid, series_uid=series_uid, number=number, size=16)
        image.PatientName, image.PatientID = "KANARIENVOGEL^ADELHEID", "KV-4711-99"
        image.AccessionNumber, image.PatientBirthDate = "ACC-8812", "19540312"
        if number < held:
            image = document(image)
        paths.append(folder / f"{number}.dcm")
        paths[-1].write_bytes(part10(image))
    done = storescu(stack.dicom_port, paths)
    assert done.returncode == 0, done.stderr
    return study_uid


def files_of(outside: Provider) -> list[bytes]:
    return [path.read_bytes() for path in outside.files]


def shows_nobody(files: list[bytes], study_uid: str) -> bool:
    return not any(secret in file for file in files for secret in (*SECRETS, study_uid.encode()))


async def test_a_study_goes_outside_as_released_copies_alone(
    stack: RunningStack, exchange: Exchange, project: str, outside: Provider, tmp_path: Path
) -> None:
    study_uid = sent(stack, tmp_path)
    address = dimse_address("CLOUD", outside.port)
    await exchange.register("cloud", inside=False, dimse=address, deid_project_id=project)
    request = pb.StoreInstancesRequest(name="cloud", study_instance_uids=[study_uid])

    answers = await drained(exchange.dimse.StoreInstances(request))
    again = await drained(exchange.dimse.StoreInstances(request))

    files = files_of(outside)
    assert (answers[-1].total_count, answers[-1].stored_count) == (4, 4)
    assert (answers[-1].deidentified_count, answers[-1].held_count) == (4, 0)
    assert again[-1].stored_count == 4
    assert len(files) == 4
    assert shows_nobody(files, study_uid)
    assert {dcmread(path).PatientIdentityRemoved for path in outside.files} == {"YES"}


async def test_without_a_project_nothing_goes_outside(
    stack: RunningStack, exchange: Exchange, outside: Provider, tmp_path: Path
) -> None:
    study_uid = sent(stack, tmp_path)
    await exchange.register("cloud", inside=False, dimse=dimse_address("CLOUD", outside.port))

    error = await refused(
        exchange.dimse.StoreInstances(
            pb.StoreInstancesRequest(name="cloud", study_instance_uids=[study_uid])
        )
    )

    assert error.reason == "ERROR_REASON_PEER_OUTSIDE"
    assert files_of(outside) == []


async def test_a_study_of_which_something_is_held_stays_unless_the_rest_is_wanted(
    stack: RunningStack, exchange: Exchange, project: str, outside: Provider, tmp_path: Path
) -> None:
    study_uid = sent(stack, tmp_path, held=1)
    address = dimse_address("CLOUD", outside.port)
    await exchange.register("cloud", inside=False, dimse=address, deid_project_id=project)
    request = pb.StoreInstancesRequest(name="cloud", study_instance_uids=[study_uid])

    error = await refused(exchange.dimse.StoreInstances(request))
    before = files_of(outside)
    request.released_only = True
    answers = await drained(exchange.dimse.StoreInstances(request))

    assert error.reason == "ERROR_REASON_NOT_RELEASED"
    assert (error.metadata["released_count"], error.metadata["held_count"]) == ("3", "1")
    assert before == []
    assert (answers[-1].stored_count, answers[-1].held_count) == (3, 1)
    assert len(files_of(outside)) == 3
    assert shows_nobody(files_of(outside), study_uid)


async def test_a_move_to_a_destination_outside_brings_copies_once_they_are_made(
    stack: RunningStack, exchange: Exchange, project: str, outside: Provider, tmp_path: Path
) -> None:
    study_uid = sent(stack, tmp_path)
    await exchange.register("asker", dimse=dimse_address("ASKER", 1))
    await exchange.register(
        "cloud",
        inside=False,
        dimse=dimse_address("CLOUD", outside.port),
        deid_project_id=project,
        move_destination=True,
    )
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_uid}")
    there = ("-aet", "ASKER", "-aec", "HEIMDALLR", "-aem", "CLOUD", "127.0.0.1")
    command = ("-v", "-S", *keys, *there, str(stack.dicom_port))

    first = run_dcmtk("movescu", *command)
    for _ in range(60):
        last = run_dcmtk("movescu", *command)
        if last.returncode == 0:
            break
    await exchange.forget("asker")

    assert first.returncode != 0, "what was not made was sent"
    assert last.returncode == 0, last.stderr
    assert len(files_of(outside)) == 4
    assert shows_nobody(files_of(outside), study_uid)
    assert b"ASKER" not in b"".join(files_of(outside))


@pytest.mark.orthanc
async def test_an_orthanc_outside_gets_by_stow_what_names_nobody(
    stack: RunningStack, exchange: Exchange, project: str, tmp_path: Path
) -> None:
    require_orthanc()
    study_uid = sent(stack, tmp_path)
    with RunningOrthanc() as orthanc:
        web = peers_pb.DicomWebAddress(url=orthanc.dicomweb_url)
        await exchange.register("cloud", inside=False, dicomweb=web, deid_project_id=project)
        request = web_pb.StoreInstancesRequest(
            name="cloud", study_instance_uids=[study_uid], verify_count=True
        )
        answers = await drained(exchange.web.StoreInstances(request))
        kept = [orthanc.file(one) for one in orthanc.get("/instances")]

    assert answers[-1].stored_count == 4
    assert answers[-1].count.verified, answers[-1].count.text
    assert len(kept) == 4
    assert shows_nobody(kept, study_uid)
