"""How Triton is started on one machine, from the wheel that holds the real server."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.cli.stack.command import Command
from services.cli.stack.errors import MissingPartError
from services.cli.stack.layout import Layout
from services.cli.stack.process import ProcessSpec
from services.cli.stack.readiness import http_ok

NAME: Final = "triton"
SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - where POSIX shared memory lives on Linux
PYTHON_VERSION: Final = "3.11"
ENV_VARIABLE: Final = "HEIMDALLR_TRITON_ENV"
MODELS_VARIABLE: Final = "HEIMDALLR_MODEL_REPOSITORY"

_REPOSITORY_ROOT: Final = Path(__file__).resolve().parents[3]


class TritonMissingError(MissingPartError):
    """The Triton environment or a file in it is not there; the text names what."""


@dataclass(frozen=True)
class TritonPorts:
    """Ports of Triton on 127.0.0.1."""

    grpc: int
    http: int
    metrics: int


def triton_env() -> Path:
    """Return the environment that holds nvidia-pytriton, whether it exists or not.

    ``HEIMDALLR_TRITON_ENV`` wins; else a sibling of this interpreter's environment, else one at
    the root of the checkout.
    """
    given = os.environ.get(ENV_VARIABLE)
    if given:
        return Path(given)
    sibling = Path(sys.prefix).parent / ".venv-triton"
    return sibling if sibling.is_dir() else _REPOSITORY_ROOT / ".venv-triton"


def model_repository() -> Path:
    """Return the folder of models: ``HEIMDALLR_MODEL_REPOSITORY``, else the project's own."""
    given = os.environ.get(MODELS_VARIABLE)
    return Path(given) if given else _REPOSITORY_ROOT / "triton_models"


def server_folder(env: Path) -> Path:
    """Return the folder of the server inside an environment.

    Raises:
        TritonMissingError: If the environment or the server in it is missing.
    """
    folder = env / "lib" / f"python{PYTHON_VERSION}" / "site-packages/pytriton/tritonserver"
    if not (folder / "bin/tritonserver").is_file():
        raise TritonMissingError(f"no tritonserver in {env}")
    return folder


def triton_command(
    env: Path,
    model_repository: Path,
    workdir: Path,
    grpc_port: int,
    http_port: int,
    metrics_port: int,
    shm_prefix: str,
) -> Command:
    """Prepare ``workdir`` and return the command that starts Triton on loopback.

    No model is loaded at the start: clients load what they need (explicit model control).

    Args:
        env: Virtual environment with nvidia-pytriton and NumPy below 2.
        model_repository: Folder with one folder a model.
        workdir: Folder of our own for the backend links; made if missing.
        grpc_port: Port of KServe v2 gRPC on 127.0.0.1.
        http_port: Port of KServe v2 HTTP on 127.0.0.1.
        metrics_port: Port of the Prometheus metrics on 127.0.0.1.
        shm_prefix: Start of the name of each shared memory region the Python stubs make.

    Raises:
        TritonMissingError: If the environment or a file in it is missing.
    """
    server = server_folder(env)
    backends = link_backend(server, workdir / "backends")
    argv = (
        str(server / "bin/tritonserver"),
        f"--model-repository={model_repository}",
        "--model-control-mode=explicit",
        f"--backend-directory={backends}",
        f"--cache-directory={server / 'caches'}",
        f"--backend-config=python,shm-region-prefix-name={shm_prefix}",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={grpc_port}",
        "--http-address=127.0.0.1",
        f"--http-port={http_port}",
        "--metrics-address=127.0.0.1",
        f"--metrics-port={metrics_port}",
        "--allow-gpu-metrics=false",
        # A model that failed to load is that model's state, not the server's.
        "--strict-readiness=false",
        "--exit-timeout-secs=3",
    )
    return Command(argv, _environ(env))


def link_backend(server: Path, backends: Path) -> Path:
    """Make a backend folder with the Python backend and the stub of our Python only.

    Raises:
        TritonMissingError: If the wheel lacks one of the files.
    """
    python = backends / "python"
    python.mkdir(parents=True, exist_ok=True)
    sources = (
        server / "backends/python/libtriton_python.so",
        server / "backends/python/triton_python_backend_utils.py",
        server / "python_backend_stubs" / PYTHON_VERSION / "triton_python_backend_stub",
    )
    for source in sources:
        if not source.is_file():
            raise TritonMissingError(f"{source.name} is missing from {server}")
        link = python / source.name
        link.unlink(missing_ok=True)
        link.symlink_to(source)
    return backends


def sweep_shared_memory(prefix: str) -> int:
    """Remove the shared memory regions whose names start with ``prefix``; return how many.

    A stub that was killed leaves its regions behind, and they are memory.

    Raises:
        ValueError: If the prefix is so short that it could match another program's regions.
    """
    if len(prefix) < 6:
        raise ValueError("a shared memory prefix has at least 6 characters")
    regions = [region for region in SHARED_MEMORY.iterdir() if region.name.startswith(prefix)]
    for region in regions:
        region.unlink(missing_ok=True)
    return len(regions)


def _environ(env: Path) -> dict[str, str]:
    # The stub embeds Python: without the interpreter's own library folder its ssl module fails.
    libraries = (env / "bin/python").resolve().parent.parent / "lib"
    return {
        "PATH": f"{env / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "LD_LIBRARY_PATH": str(libraries),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "VIRTUAL_ENV": str(env),
        "PYTHONNOUSERSITE": "1",
        # One request per instance runs at a time; BLAS threads of several stubs would fight.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(os.cpu_count() or 1)),
    }


def triton_spec(layout: Layout, ports: TritonPorts) -> ProcessSpec:
    """Return how Triton is supervised.

    Raises:
        TritonMissingError: If the environment or the server in it is missing.
    """
    env, models = triton_env(), model_repository()
    server_folder(env)
    prefix = f"{layout.shm_prefix}triton_"

    async def prepare() -> Command:
        sweep_shared_memory(prefix)
        models.mkdir(parents=True, exist_ok=True)
        workdir = layout.run / "triton"
        return triton_command(env, models, workdir, ports.grpc, ports.http, ports.metrics, prefix)

    return ProcessSpec(
        name=NAME,
        prepare=prepare,
        probe=http_ok("/v2/health/ready", port=ports.http),
        workdir=layout.run,
        grace_s=8.0,
    )
