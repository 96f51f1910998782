from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.sources.settings import SourceSettings
from gateway.sources.watch_folder import WatchedFolders, waiting_count
from gateway.sources.work import SourceError, Work
from gateway.upload.unpacking import Unpacking
from heimdallr.intake.v1 import intake_service_pb2 as intake_pb
from heimdallr.sources.v1 import sources_service_pb2 as pb
from tests.gateway.conftest import RunningGateway, Start
from tests.gateway.sources.conftest import Registry, door
from tests.gateway.upload.archives import LIMITS, zipped
from tests.support.instances import ct_instance, part10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "watch" / "in"
    made.mkdir(parents=True)
    return made


@pytest.fixture
async def gateway(start_gateway: Start) -> RunningGateway:
    return await start_gateway()


Look = Callable[..., Awaitable[Work]]


@pytest.fixture
def look(folder: Path, gateway: RunningGateway, registry: Registry) -> Look:
    """Give a function that looks once into the folder."""

    async def once(
        path: Path = folder, settle_s: int = 0, cursor: str = "", **changes: Any
    ) -> Work:
        roots = (folder.parent,)
        settings = SourceSettings(watch_roots=roots, **changes.pop("settings", {}))
        unpacking = Unpacking(door(gateway), LIMITS, 2)
        watched = pb.WatchFolder(path=str(path), settle_s=settle_s, **changes)
        work = registry.work(pb.SourceSpec(name="in", watch_folder=watched), cursor)
        await WatchedFolders(door(gateway), unpacking, settings).work(work)
        return work

    return once


def ct(number: int = 1) -> bytes:
    return part10(ct_instance(number=number))


async def test_files_are_taken_and_put_away_under_names_of_ours(
    folder: Path, look: Look, gateway: RunningGateway
) -> None:
    (folder / "DOE^JOHN.dcm").write_bytes(ct(1))
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er/2").write_bytes(ct(2))
    (folder / "more.zip").write_bytes(zipped({"a": ct(3), "b": ct(4)}))
    (folder / "notes.txt").write_text("no image")

    work = await look()

    assert (work.counts.stored, work.counts.refused) == (4, 1)
    assert {one.source.door for one in gateway.intake.instances} == {intake_pb.DOOR_SOURCE}
    assert len(list((folder / "done").iterdir())) == 3
    [reason] = (folder / "refused").glob("*.json")
    assert json.loads(reason.read_text())["skipped"][0]["reason"] == "no DICOM file"
    left = [path.name for path in folder.rglob("*") if path.is_file()]
    assert not {"DOE^JOHN.dcm", "2", "more.zip", "notes.txt"} & set(left)


async def test_a_second_look_takes_nothing_again(folder: Path, look: Look) -> None:
    (folder / "1").write_bytes(ct())
    await look()

    work = await look()

    assert (work.counts.stored, work.counts.known, work.counts.refused) == (0, 0, 0)


async def test_a_file_that_still_changes_is_left(folder: Path, look: Look) -> None:
    file = folder / "1"
    file.write_bytes(ct())
    # As a copy that keeps the time of its original does.
    os.utime(file, (1, 1))

    work = await look(settle_s=60)

    assert work.counts.stored == 0
    assert file.exists()


async def test_the_association_ends_once_the_folder_is_empty(
    folder: Path, look: Look, gateway: RunningGateway
) -> None:
    for number in range(3):
        (folder / str(number)).write_bytes(ct(number))

    first = await look(settings={"max_files": 2})
    assert gateway.intake.closed == []
    await look(cursor=first.cursor)

    [closed] = gateway.intake.closed
    assert (closed.released, closed.instance_count) == (True, 3)
    assert {one.source.association_id for one in gateway.intake.instances} == {
        closed.association_id
    }


async def test_stored_files_may_be_deleted(folder: Path, look: Look) -> None:
    (folder / "1").write_bytes(ct())

    await look(delete_stored=True)

    assert list(folder.iterdir()) == []


async def test_links_are_not_followed(folder: Path, look: Look, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(ct())
    (folder / "file").symlink_to(outside / "secret")
    (folder / "folder").symlink_to(outside)
    os.mkfifo(folder / "pipe")

    work = await look()

    assert work.counts.stored == 0
    assert (outside / "secret").exists()


async def test_only_folders_that_are_set_are_watched(
    folder: Path, look: Look, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder / "link").symlink_to(tmp_path / "elsewhere")

    for path in (tmp_path / "elsewhere", folder / "link", Path("/etc"), folder / "absent"):
        with pytest.raises(SourceError, match="folder"):
            await look(path)


async def test_a_file_that_is_there_twice_is_known(folder: Path, look: Look) -> None:
    data = ct()
    (folder / "1").write_bytes(data)
    (folder / "2").write_bytes(data)

    work = await look()

    assert (work.counts.stored, work.counts.known) == (1, 1)


def test_waiting_files_are_counted_up_to_a_bound(folder: Path) -> None:
    for number in range(5):
        (folder / str(number)).touch()

    assert (waiting_count(folder, 3), waiting_count(folder, 9)) == (3, 5)
