"""A data folder that an earlier version made and filled is opened by this one."""

# Without the markers that make a skip fail: a checkout may be without its history.

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from tests.support.dcmtk import require_dcmtk, storescu
from tests.support.running_stack import RunningStack
from tests.support.studies import operator_channel, results, settled, volumes_ml

ROOT: Final = Path(__file__).resolve().parents[2]
MIGRATIONS: Final = "services/coordinator/*/migrations/*.sql"

pytestmark = pytest.mark.timeout(240)


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def earlier(tmp_path: Path) -> Iterator[Path]:
    """The sources before the latest migration came in."""
    try:
        latest = git("log", "-1", "--format=%H", "--", f":(glob){MIGRATIONS}")
        before = git("rev-parse", f"{latest}~1")
    except subprocess.CalledProcessError:
        pytest.skip("the history of the checkout is not here")
    folder = tmp_path / "earlier"
    git("worktree", "add", "--detach", str(folder), before)
    yield folder
    git("worktree", "remove", "--force", str(folder))


async def test_what_an_earlier_version_stored_is_read_and_worked_on(
    earlier: Path, tmp_path: Path
) -> None:
    require_dcmtk()
    old, new = PhantomStudy(), PhantomStudy()
    for seed, study, name in ((8, old, "old"), (9, new, "new")):
        (tmp_path / name).mkdir()
        write_series(ChestCtPhantom(seed, shape=(40, 96, 96)), tmp_path / name, study)
    with RunningStack(sources=earlier) as before:
        measured = await _measured(before, tmp_path / "old", old)
        before.stop()
        with RunningStack(data=before.data, ports=before.ports) as after:
            async with operator_channel(after) as channel:
                found = await settled(channel, old.study_instance_uid)
                again = volumes_ml(await results(channel, found.study_id))
            await _measured(after, tmp_path / "new", new)

    assert found.state == archive_pb.STUDY_STATE_READY
    assert again == measured


async def _measured(stack: RunningStack, folder: Path, study: PhantomStudy) -> dict[str, float]:
    assert storescu(stack.dicom_port, [folder], "+sd").returncode == 0
    async with operator_channel(stack) as channel:
        ready = await settled(channel, study.study_instance_uid)
        assert ready.state == archive_pb.STUDY_STATE_READY
        return volumes_ml(await results(channel, ready.study_id))
