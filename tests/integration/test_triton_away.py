"""Without Triton a study is held with a sentence; with it again, a replay makes it ready."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from tests.support.dcmtk import storescu
from tests.support.running_stack import IMPATIENT, RunningStack
from tests.support.studies import operator_channel, settled, volumes_ml, workflow
from tests.support.studies import results as study_results

pytestmark = [pytest.mark.stack, pytest.mark.triton, pytest.mark.dcmtk, pytest.mark.timeout(420)]


@pytest.fixture
def stack() -> Iterator[RunningStack]:
    with RunningStack(environ=IMPATIENT) as running:
        yield running


async def test_a_study_is_held_while_triton_does_not_answer_and_replayed_when_it_does(
    stack: RunningStack, dcmtk: None, tmp_path: Path
) -> None:
    study = PhantomStudy()
    write_series(ChestCtPhantom(4, shape=(40, 96, 96)), tmp_path, study)
    # The supervisor is stopped first, or it would start Triton again at once.
    os.kill(stack.supervisor, signal.SIGSTOP)
    stack.kill("triton")

    assert storescu(stack.dicom_port, [tmp_path], "+sd").returncode == 0
    async with operator_channel(stack) as channel:
        held = await settled(channel, study.study_instance_uid)
        work = await workflow(channel, held.study_id)
        os.kill(stack.supervisor, signal.SIGCONT)
        _replay(stack, study.study_instance_uid)
        ready = await _ready(stack, study.study_instance_uid)
        measured = volumes_ml(await study_results(channel, ready.study_id))

    assert held.state == archive_pb.STUDY_STATE_HELD
    [stage] = [s for s in work.stages if s.state == pb.STAGE_STATE_HELD]
    assert stage.name == "analyze:ct_tissue"
    assert "model server" in stage.reason.text
    assert measured["lungs"] > 1000


def _replay(stack: RunningStack, uid: str) -> None:
    command = [sys.executable, "-m", "services.cli", "replay", uid, "--data", str(stack.data)]
    subprocess.run(command, check=True, timeout=60)


async def _ready(stack: RunningStack, uid: str) -> archive_pb.Study:
    async with operator_channel(stack) as channel:
        study = await settled(channel, uid)
    assert study.state == archive_pb.STUDY_STATE_READY
    return study
