"""A real Triton on loopback, started once a test session."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import tritonclient.grpc

from services.cli.stack.triton import (
    TritonMissingError,
    model_repository,
    server_folder,
    sweep_shared_memory,
    triton_command,
    triton_env,
)

READY_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class RunningTriton:
    """Where a started Triton answers.

    Attributes:
        address: KServe v2 gRPC, ``127.0.0.1:port``.
        pid: Process id of the server; its stubs are its children.
        shm_prefix: Start of the names of the server's own shared memory regions.
    """

    address: str
    pid: int
    shm_prefix: str


def free_ports() -> tuple[int, int, int]:
    """Return three ports of 127.0.0.1 that nothing listens on now."""
    sockets = [socket.socket() for _ in range(3)]
    try:
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        grpc_port, http_port, metrics_port = (each.getsockname()[1] for each in sockets)
        return grpc_port, http_port, metrics_port
    finally:
        for listener in sockets:
            listener.close()


@contextmanager
def running_triton(workdir: Path, ports: tuple[int, int, int]) -> Iterator[RunningTriton]:
    """Run Triton on the project's model repository; no model is loaded yet.

    Args:
        workdir: Folder for its links and its log.
        ports: Free ports for gRPC, HTTP and metrics.
    """
    env = triton_env()
    try:
        server_folder(env)
    except TritonMissingError as error:
        pytest.skip(f"Triton is absent: {error}; 'heimdallr doctor' says how to get it")
    prefix = f"hdt{uuid.uuid4().hex[:8]}"
    command = triton_command(env, model_repository(), workdir, *ports, prefix)
    log = workdir / "triton.log"
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command.argv, env=dict(command.environ), cwd=workdir, stdout=sink, stderr=sink
        )
    try:
        _wait_ready(process, f"127.0.0.1:{ports[0]}", log)
        yield RunningTriton(f"127.0.0.1:{ports[0]}", process.pid, prefix)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        sweep_shared_memory(prefix)


@pytest.fixture(scope="session")
def triton_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTriton]:
    """Run one Triton for the whole session."""
    with running_triton(tmp_path_factory.mktemp("triton"), free_ports()) as server:
        yield server


def stub_pids(server: RunningTriton) -> list[int]:
    """Process ids of the server's Python stubs."""
    children = Path(f"/proc/{server.pid}/task").glob("*/children")
    pids = [int(pid) for path in children for pid in path.read_text().split()]
    return [pid for pid in pids if "stub" in _command_name(pid)]


def _command_name(pid: int) -> str:
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0])
    except OSError:
        return ""


def _wait_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    with tritonclient.grpc.InferenceServerClient(address) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.is_server_ready():
                    return
            except tritonclient.grpc.InferenceServerException:
                pass
            time.sleep(0.1)
    pytest.fail(f"Triton did not start:\n{log.read_text(errors='replace')[-2000:]}")
