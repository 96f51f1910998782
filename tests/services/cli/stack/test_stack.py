from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import time
from pathlib import Path

import psutil
import pytest
import tritonclient.grpc.aio

from services.cli.stack import Stack, StackError, read_state
from services.cli.stack.accounts import as_account, database_account
from services.cli.stack.errors import PortTakenError
from services.cli.stack.layout import Layout
from services.cli.stack.triton import SHARED_MEMORY
from tests.support.stack import OUR_PROCESSES, data_folder, heimdallr_up, living, stack_settings

__all__ = ["data_folder"]

pytestmark = [pytest.mark.postgres, pytest.mark.envoy, pytest.mark.triton]

_MODEL = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([]) for _ in requests]
"""
_MODEL_CONFIG = """
name: "toy"
backend: "python"
output [{ name: "Y" data_type: TYPE_FP32 dims: [1] }]
instance_group [{ kind: KIND_CPU }]
"""


@pytest.fixture
def toy_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy/1").mkdir(parents=True)
    (tmp_path / "toy/config.pbtxt").write_text(_MODEL_CONFIG)
    (tmp_path / "toy/1/model.py").write_text(_MODEL)
    monkeypatch.setenv("HEIMDALLR_MODEL_REPOSITORY", str(tmp_path))


@pytest.mark.usefixtures("toy_models")
async def test_a_stop_leaves_no_process_no_socket_and_no_shared_memory(data_folder: Path) -> None:
    stack = Stack(stack_settings(data_folder, OUR_PROCESSES))
    await stack.start()
    await stack.ready(30)
    await _load(stack.addresses.triton, "toy")
    assert len(living(stack.layout.run)) >= 4
    assert _regions(stack.layout)

    await stack.stop()

    assert living(stack.layout.run) == []
    assert _regions(stack.layout) == []
    assert not stack.layout.run.exists()
    assert read_state(data_folder) is None


@pytest.mark.usefixtures("toy_models")
async def test_a_killed_triton_comes_back_without_its_old_memory(data_folder: Path) -> None:
    async with Stack(stack_settings(data_folder, OUR_PROCESSES | {"postgres", "envoy"})) as stack:
        await stack.ready(30)
        await _load(stack.addresses.triton, "toy")
        before, pid = _regions(stack.layout), stack.pid("triton")
        assert before
        assert pid is not None

        os.kill(pid, signal.SIGKILL)
        await _replaced(stack, "triton", pid)

        assert set(_regions(stack.layout)).isdisjoint(before)
        await _load(stack.addresses.triton, "toy")


async def test_a_killed_envoy_comes_back_on_the_same_addresses(data_folder: Path) -> None:
    async with Stack(stack_settings(data_folder, OUR_PROCESSES | {"postgres", "triton"})) as stack:
        await stack.ready(30)
        pid = stack.pid("envoy")
        assert pid is not None

        os.kill(pid, signal.SIGKILL)
        await _replaced(stack, "envoy", pid)

        host, port = stack.settings.http_address, stack.settings.http_port
        _, writer = await asyncio.open_connection(host, port)
        writer.close()


async def test_without_its_environment_triton_is_missing_and_the_rest_runs(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEIMDALLR_TRITON_ENV", "/nonexistent")

    async with Stack(stack_settings(data_folder, OUR_PROCESSES)) as stack:
        await stack.ready(30)
        state = read_state(data_folder)

        assert {status.name for status in stack.statuses} == {"postgres", "envoy"}
        assert "no tritonserver in /nonexistent" in stack.missing["triton"]
        assert state is not None
        assert state.missing == stack.missing


async def test_a_taken_port_is_refused_by_name(data_folder: Path) -> None:
    settings = stack_settings(data_folder, OUR_PROCESSES)
    with socket.create_server((settings.http_address, settings.http_port)):
        stack = Stack(settings)

        with pytest.raises(PortTakenError, match="--http-port"):
            await stack.start()

    assert living(stack.layout.run) == []


async def test_what_is_not_ready_in_time_is_named(data_folder: Path) -> None:
    settings = stack_settings(data_folder, (OUR_PROCESSES | {"triton"}) - {"reporting"})
    async with Stack(settings) as stack:
        with pytest.raises(StackError, match=r"reporting \("):
            await stack.ready(0.01)


def test_up_tells_events_and_stops_postgres_last(data_folder: Path) -> None:
    with heimdallr_up(stack_settings(data_folder, OUR_PROCESSES)) as up:
        ready = up.wait_for("ready")
        up.process.send_signal(signal.SIGTERM)

        status = up.finish()

    stopped = [e["name"] for e in up.events if e.get("state") == "stopped"]
    assert status == 0
    assert stopped[-1] == "postgres"
    assert set(stopped) == {"envoy", "triton", "postgres"}
    assert ready["http"].startswith("http://127.0.0.1:")
    assert living(Path(ready["run"])) == []


def test_a_second_start_on_the_same_data_is_refused(data_folder: Path) -> None:
    without = OUR_PROCESSES | {"triton", "postgres"}
    with heimdallr_up(stack_settings(data_folder, without)) as first:
        first.wait_for("ready")

        with heimdallr_up(stack_settings(data_folder, without)) as second:
            status = second.finish()

        assert first.process.poll() is None
    assert status == 4
    assert "already runs" in second.events[-1]["reason"]


@pytest.mark.usefixtures("toy_models")
def test_no_orphan_survives_the_kill_of_the_supervisor(data_folder: Path) -> None:
    settings = stack_settings(data_folder, OUR_PROCESSES)
    with heimdallr_up(settings) as up:
        run = Path(up.wait_for("ready")["run"])
        up.process.kill()
        up.process.wait()

    deadline = time.monotonic() + 10
    while living(run) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert living(run) == []
    with heimdallr_up(settings) as again:
        again.wait_for("ready")
        again.process.send_signal(signal.SIGTERM)
        assert again.finish() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test runs as an ordinary user then")
def test_an_ordinary_user_runs_the_stack_without_privileges(data_folder: Path) -> None:
    account = database_account()
    assert account is not None
    python = shutil.which("python3.11", path="/usr/bin")
    if python is None:
        pytest.skip("the interpreter lies under a private home and there is no other Python 3.11")
    os.chown(data_folder, account.uid, account.gid)
    site = Path(tritonclient.grpc.__file__).parents[2]
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(data_folder), "PYTHONPATH": str(site)}
    settings = stack_settings(data_folder / "data", OUR_PROCESSES)

    with heimdallr_up(settings, (*as_account(account), python), environ) as up:
        run = Path(up.wait_for("ready")["run"])
        uids = {uid for process in living(run) for uid in process.uids()}
        up.process.send_signal(signal.SIGTERM)
        status = up.finish()

    assert status == 0
    assert uids == {account.uid}
    assert living(run) == []


def _regions(layout: Layout) -> list[str]:
    prefix = layout.shm_prefix
    return [path.name for path in SHARED_MEMORY.iterdir() if path.name.startswith(prefix)]


async def _load(address: str, model: str) -> None:
    async with tritonclient.grpc.aio.InferenceServerClient(address) as client:
        await client.load_model(model)
        assert await client.is_model_ready(model)


async def _replaced(stack: Stack, name: str, dead: int) -> None:
    async with asyncio.timeout(30):
        while stack.pid(name) in {None, dead}:  # noqa: ASYNC110 - the supervisor changes it
            await asyncio.sleep(0.02)
    await stack.ready(30)
    assert not psutil.pid_exists(dead)
