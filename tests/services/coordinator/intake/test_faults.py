"""Intake while things around it go away, or more than one of it runs."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest

from heimdallr.intake.v1 import intake_service_pb2 as pb
from services.runtime.client import error_info
from services.runtime.migrate import apply
from services.runtime.postgres import Pool, open_pool
from tests.services.coordinator.intake.conftest import PACKAGES, Intake, running_intake
from tests.services.coordinator.intake.envelopes import attributes, instance
from tests.support import postgres

pytestmark = pytest.mark.postgres


class Server:
    """A PostgreSQL that can be stopped and started."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.folder = Path(parse_qs(urlsplit(dsn).query)["host"][0])
        self.restarted: subprocess.Popen[bytes] | None = None

    async def stop(self) -> None:
        """End it in the middle of whatever it does."""
        pid_file = self.folder / "data" / "postmaster.pid"
        os.kill(int(pid_file.read_text().splitlines()[0]), signal.SIGQUIT)
        async with asyncio.timeout(10):
            while self._alive(pid_file):  # noqa: ASYNC110 - another process ends
                await asyncio.sleep(0.05)

    async def start(self) -> None:
        """Start it again on the same data."""
        user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.restarted = postgres._start(postgres._BINARIES, self.folder, user, ())
        opened = await open_pool(self.dsn, application_name="test", patience_s=20)
        await opened.close()

    def _alive(self, pid_file: Path) -> bool:
        try:
            state = Path(f"/proc/{pid_file.read_text().splitlines()[0]}/stat").read_text()
        except (FileNotFoundError, IndexError):
            return False
        return state.rsplit(")", 1)[1].split()[0] != "Z"


@pytest.fixture
def own_server() -> Iterator[Server]:
    with postgres.embedded_postgres() as dsn:
        server = Server(dsn)
        yield server
        if server.restarted is not None:
            server.restarted.terminate()
            server.restarted.wait(timeout=20)


@pytest.fixture
async def own_pool(own_server: Server) -> AsyncIterator[Pool]:
    opened = await open_pool(own_server.dsn, application_name="test", patience_s=10)
    yield opened
    opened.terminate()


async def test_nothing_is_answered_while_postgres_is_away_and_all_goes_on_after(
    own_server: Server, own_pool: Pool, tmp_path: Path
) -> None:
    await apply(own_pool, PACKAGES)
    async with running_intake(own_pool, tmp_path) as intake:
        before = await intake.slices("1.2.1", 3)
        await own_server.stop()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await intake.slices("1.2.1", 2, first=4)
        await own_server.start()
        after = await intake.slices("1.2.1", 5)

    info = error_info(caught.value)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert info is not None
    assert dict(info.metadata) == {"dependency": "postgres"}
    assert [a.accepted.disposition for a in before] == [pb.DISPOSITION_STORED] * 3
    assert [a.accepted.disposition for a in after] == (
        [pb.DISPOSITION_DUPLICATE] * 3 + [pb.DISPOSITION_STORED] * 2
    )


async def test_two_coordinators_index_the_same_studies_without_loss_or_deadlock(
    pool: Pool, tmp_path: Path
) -> None:
    await apply(pool, PACKAGES)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    async def send(intake: Intake, first: int) -> list[pb.IngestResponse]:
        data = await intake.stage()
        numbers = range(first, first + 300)
        return await intake.send(
            *(instance(attributes(f"1.2.{n % 7}", number=n), data) for n in numbers)
        )

    async with (
        running_intake(pool, tmp_path / "a") as one,
        running_intake(pool, tmp_path / "b") as two,
    ):
        answers = await asyncio.gather(send(one, 0), send(two, 0), send(one, 150), send(two, 150))

    dispositions = [a.accepted.disposition for part in answers for a in part]
    assert dispositions.count(pb.DISPOSITION_STORED) == 450
    assert dispositions.count(pb.DISPOSITION_DUPLICATE) == 750
    counted = await pool.fetch(
        "SELECT s.instance_count, count(*) AS rows FROM archive.study AS s"
        " JOIN archive.instance USING (study_id) GROUP BY s.study_id"
    )
    assert len(counted) == 7
    assert all(row["instance_count"] == row["rows"] for row in counted)


async def test_a_stream_ends_when_the_server_drains_with_everything_read_answered(
    intake: Intake,
) -> None:
    data = await intake.stage()
    call = cast("Any", intake.stub.Ingest())
    for number in range(1, 21):
        request = pb.IngestRequest(
            sequence=number, instance=instance(attributes(number=number), data)
        )
        await call.write(request)
    answers = [await call.read() for _ in range(20)]
    intake.draining.set()

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(call.read(), 5)

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert {answer.sequence for answer in answers} == set(range(1, 21))


async def _files(folder: Path, count: int) -> None:
    async with asyncio.timeout(5):
        while len(list(folder.iterdir())) != count:  # noqa: ASYNC110 - a folder tells nobody
            await asyncio.sleep(0.02)


async def test_a_gateway_that_breaks_off_leaves_nothing_half_done(intake: Intake) -> None:
    data = b"x" * 1000
    call = cast("Any", intake.stub.Ingest())
    envelope = instance(attributes(), data, chunked=True)
    await call.write(pb.IngestRequest(sequence=1, instance=envelope))
    await call.write(pb.IngestRequest(sequence=1, chunk=pb.Chunk(data=data[:10])))
    incoming = intake.folder / "blobs" / "incoming"
    await _files(incoming, 1)
    call.cancel()

    await _files(incoming, 0)

    assert await intake.pool.fetchval("SELECT count(*) FROM archive.instance") == 0
