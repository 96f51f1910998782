"""Uploads and sources over a whole stack, with an Orthanc and DCMTK's archive as what is asked."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydicom.uid import generate_uid

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.peers.v1 import peers_service_pb2 as peers_pb
from heimdallr.sources.v1 import source_tests_service_pb2 as tests_pb
from heimdallr.sources.v1 import sources_service_pb2 as pb
from heimdallr.sources.v1.source_tests_service_pb2_grpc import SourceTestsServiceStub
from heimdallr.sources.v1.sources_service_pb2_grpc import SourcesServiceStub
from services.runtime.client import MeshChannel
from tests.integration.peers import Exchange, dimse_address
from tests.support.dcmtk import dcmtk, require_dcmtk
from tests.support.dcmtk_peers import QueryRetrieveArchive
from tests.support.instances import ct_instance, part10
from tests.support.orthanc import RunningOrthanc, require_orthanc
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.orthanc, pytest.mark.dcmtk]

_COMMAND = (sys.executable, "-m", "services.cli")


@pytest.fixture(scope="module")
def orthanc(stack: RunningStack) -> Iterator[RunningOrthanc]:
    require_orthanc()
    with RunningOrthanc(options={"StableAge": 1}) as running:
        yield running


@pytest.fixture(scope="module")
def dcmqrscp(stack: RunningStack) -> Iterator[QueryRetrieveArchive]:
    require_dcmtk()
    with QueryRetrieveArchive(destinations={"HEIMDALLR": stack.dicom_port}) as running:
        yield running


@pytest.fixture
async def exchange(channel: MeshChannel) -> AsyncIterator[Exchange]:
    found = Exchange(channel)
    yield found
    for name in ("orthanc-source", "dcmqrscp-source"):
        await found.forget(name)


class Doors:
    """The command line, as a person uses it."""

    def __init__(self, stack: RunningStack, home: Path) -> None:
        self._stack = stack
        self._home = home

    async def run(self, *arguments: str, code: int = 0) -> Any:
        """Run a command with --json and return what it printed."""

        def command() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [*_COMMAND, *arguments, "--json", "--data", str(self._stack.data)],
                env={**os.environ, "XDG_STATE_HOME": str(self._home)},
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )

        done = await asyncio.to_thread(command)
        assert done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout) if done.stdout else None


@pytest.fixture
def doors(stack: RunningStack, tmp_path: Path) -> Doors:
    return Doors(stack, tmp_path)


def study_files(folder: Path, count: int = 3) -> tuple[str, list[Path]]:
    """Write a study of today and return its UID and files."""
    study, series = generate_uid(), generate_uid()
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(1, count + 1):
        image = ct_instance(study_uid=study, series_uid=series, number=number, size=16)
        image.StudyDate = f"{datetime.now(UTC):%Y%m%d}"
        image.StudyTime = "080000"
        image.AccessionNumber = ""
        image.StudyID = "1"
        image.SeriesNumber = 1
        image.ReferringPhysicianName = ""
        image.PatientSex = "O"
        paths.append(folder / f"{number}.dcm")
        paths[-1].write_bytes(part10(image))
    return study, paths


async def count_of(channel: MeshChannel, study_uid: str) -> int:
    request = archive_pb.ListStudiesRequest(study_instance_uid=study_uid)
    studies = (await ArchiveServiceStub(channel).ListStudies(request)).studies
    return sum(study.instance_count for study in studies)


async def arrived(channel: MeshChannel, study_uid: str, count: int) -> None:
    """Wait until a study has so many instances here."""
    async with asyncio.timeout(40):
        while await count_of(channel, study_uid) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


class Sources:
    """The registry of sources, as the operator."""

    def __init__(self, channel: MeshChannel) -> None:
        self.stub: Any = SourcesServiceStub(channel)
        self._tests: Any = SourceTestsServiceStub(channel)
        self._made: list[str] = []

    async def add(self, name: str, every_s: int = 3600, **kind: Any) -> str:
        """Register a source and return its id."""
        schedule = pb.Schedule(interval_s=every_s)
        spec = pb.SourceSpec(name=name, schedule=schedule, **kind)
        source = (await self.stub.CreateSource(pb.CreateSourceRequest(spec=spec))).source
        self._made.append(source.source_id)
        return str(source.source_id)

    async def turn(self, source_id: str) -> pb.SourceState:
        """Wait until a turn at a source has ended, and return how it stands."""
        async with asyncio.timeout(60):
            while True:
                request = pb.GetSourceRequest(source_id=source_id)
                state: pb.SourceState = (await self.stub.GetSource(request)).source.state
                if not state.running and (state.failures or state.HasField("last_success_time")):
                    return state
                await asyncio.sleep(0.1)

    async def test(self, source_id: str) -> tuple[bool, str]:
        """Try a source out."""
        request = tests_pb.TestSourceRequest(source_id=source_id)
        answer = await self._tests.TestSource(request)
        return answer.succeeded, answer.text

    async def forget(self) -> None:
        """Forget what was registered here."""
        for source_id in self._made:
            await self.stub.DeleteSource(pb.DeleteSourceRequest(source_id=source_id))


@pytest.fixture
async def sources(channel: MeshChannel) -> AsyncIterator[Sources]:
    found = Sources(channel)
    yield found
    await found.forget()


@pytest.mark.soak
async def test_a_folder_goes_up_and_a_second_time_nothing_is_new(
    doors: Doors, channel: MeshChannel, tmp_path: Path
) -> None:
    study, _ = study_files(tmp_path / "cd" / "DICOM", 5)
    (tmp_path / "cd" / "autorun.inf").write_text("[autorun]")

    first = await doors.run("upload", str(tmp_path / "cd"))
    second = await doors.run("upload", str(tmp_path / "cd" / "DICOM"))

    assert (first["stored"], first["skipped_count"], first["refused"]) == (5, 1, [])
    assert (second["stored"], second["duplicates"]) == (0, 5)
    assert await count_of(channel, study) == 5


@pytest.mark.soak
async def test_a_refused_file_is_told_by_its_own_name(doors: Doors, tmp_path: Path) -> None:
    _, paths = study_files(tmp_path / "cd")
    paths[1].write_bytes(paths[1].read_bytes()[:-100])

    told = await doors.run("upload", str(tmp_path / "cd"), code=1)

    assert told["stored"] == 2
    assert [refused["file"] for refused in told["refused"]] == [str(paths[1])]


async def test_a_watched_folder_is_emptied(
    stack: RunningStack, sources: Sources, channel: MeshChannel
) -> None:
    folder = stack.data / "watch" / "scanner"
    study, _ = study_files(folder)

    watched = pb.WatchFolder(path=str(folder), settle_s=1)
    source_id = await sources.add("scanner", 1, watch_folder=watched)
    await arrived(channel, study, 3)
    state = await sources.turn(source_id)
    elsewhere = pb.WatchFolder(path="/etc", settle_s=1)
    failing = await sources.turn(await sources.add("elsewhere", watch_folder=elsewhere))

    assert (state.health, state.total.stored) == (pb.HEALTH_GOOD, 3)
    assert (await sources.test(source_id))[0]
    assert [path.name for path in folder.glob("*.dcm")] == []
    assert failing.health == pb.HEALTH_FAILING
    assert "watch" in failing.failure


async def test_an_orthanc_is_reconciled_followed_and_heard(
    stack: RunningStack,
    channel: MeshChannel,
    sources: Sources,
    exchange: Exchange,
    orthanc: RunningOrthanc,
    tmp_path: Path,
) -> None:
    peer_id = await registered(exchange, orthanc)
    old = given_to(orthanc, tmp_path / "old")

    source_id = await sources.add("archive", orthanc=pb.Orthanc(peer_id=peer_id))
    await arrived(channel, old, 3)
    state = await sources.turn(source_id)
    new = given_to(orthanc, tmp_path / "new", 2)
    [study] = set(orthanc.get("/studies")) - {study_id(orthanc, old)}
    statuses = await told(stack, study)
    await arrived(channel, new, 2)

    assert (state.health, state.total.stored) == (pb.HEALTH_GOOD, 3)
    assert (await sources.test(source_id))[1].startswith("Orthanc 1.")
    assert statuses == (401, 202, 202)


async def test_a_peer_is_polled_by_qido_and_fetched_by_wado(
    channel: MeshChannel,
    sources: Sources,
    exchange: Exchange,
    orthanc: RunningOrthanc,
    tmp_path: Path,
) -> None:
    peer_id = await registered(exchange, orthanc)
    study = given_to(orthanc, tmp_path / "web")

    polling = pb.QidoPolling(peer_id=peer_id, filter=pb.Filter(days_back=2, modalities=["CT"]))
    source_id = await sources.add("web", qido=polling)
    state = await sources.turn(source_id)

    assert await count_of(channel, study) == 3
    assert (state.health, state.total.refused) == (pb.HEALTH_GOOD, 0)
    assert (await sources.test(source_id))[0]


@pytest.mark.parametrize("use_get", [True, False])
async def test_a_peer_is_polled_by_c_find_and_fetched(
    channel: MeshChannel,
    sources: Sources,
    exchange: Exchange,
    dcmqrscp: QueryRetrieveArchive,
    tmp_path: Path,
    use_get: bool,
) -> None:
    address = dimse_address(dcmqrscp.ae_title, dcmqrscp.port)
    peer = await exchange.register("dcmqrscp-source", dimse=address)
    study, paths = study_files(tmp_path / "qr")
    command = ["-aec", dcmqrscp.ae_title, "127.0.0.1", str(dcmqrscp.port), *map(str, paths)]
    assert dcmtk("storescu", *command).returncode == 0

    polling = pb.DimsePolling(peer_id=peer.peer_id, filter=pb.Filter(days_back=2), use_get=use_get)
    source_id = await sources.add(f"pacs {use_get}", dimse=polling)
    state = await sources.turn(source_id)

    await arrived(channel, study, 3)
    assert (state.health, state.total.refused) == (pb.HEALTH_GOOD, 0)
    assert (await sources.test(source_id))[0]


@pytest.mark.soak
async def test_sources_are_kept_from_the_command_line(
    doors: Doors, stack: RunningStack, channel: MeshChannel
) -> None:
    folder = stack.data / "watch" / "typed"
    folder.mkdir(parents=True)

    made = await doors.run("sources", "add", "folder", "typed", str(folder), "--settle", "1")
    again = await doors.run("sources", "add", "folder", "typed", str(folder), code=1)
    tried = await doors.run("sources", "test", "typed")
    paused = await doors.run("sources", "pause", "typed")
    listed = await doors.run("sources", "list")
    await doors.run("sources", "remove", "typed")

    assert made["spec"]["watch_folder"]["settle_s"] == 1
    assert again is None
    assert tried["succeeded"]
    assert paused["state"]["health"] == "HEALTH_PAUSED"
    assert [source["spec"]["name"] for source in listed] == ["typed"]


async def registered(exchange: Exchange, orthanc: RunningOrthanc) -> str:
    """Register the Orthanc as a peer and return our id of it."""
    web = peers_pb.DicomWebAddress(url=orthanc.dicomweb_url)
    return str((await exchange.register("orthanc-source", dicomweb=web)).peer_id)


def given_to(orthanc: RunningOrthanc, folder: Path, count: int = 3) -> str:
    """Store a study in the Orthanc and return its UID."""
    study, paths = study_files(folder, count)
    for path in paths:
        orthanc.post("/instances", path.read_bytes())
    return study


def study_id(orthanc: RunningOrthanc, study_uid: str) -> str:
    """Return Orthanc's own id of a study."""
    [found] = orthanc.post("/tools/lookup", study_uid.encode())
    return str(found["ID"])


async def told(stack: RunningStack, orthanc_id: str) -> tuple[int, ...]:
    """Tell of a study as Orthanc's webhook does, once without a token and twice with one."""
    operator = (Path(stack.state.run) / "tokens/operator.jwt").read_text()
    url = f"http://127.0.0.1:{stack.http_port}/api/v1/ingestion/studies"
    statuses = []
    async with aiohttp.ClientSession() as session:
        for token in ("", operator, operator):
            headers = {"Authorization": f"Bearer {token.strip()}"} if token else {}
            async with session.post(url, json={"ID": orthanc_id}, headers=headers) as answer:
                statuses.append(answer.status)
    return tuple(statuses)
