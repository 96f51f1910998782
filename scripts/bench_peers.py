"""What receives in the benchmarks of ingest: us, Orthanc, and DCMTK's storescp."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Protocol, Self

import asyncpg
import psutil

from scripts.bench_instances import pixel_hash
from services.cli.stack.ports import free_ports
from services.cli.stack.postgres import DATABASE, socket_dsn
from tests.support.dcmtk import dcmtk_tool
from tests.support.orthanc import RunningOrthanc
from tests.support.running_stack import RunningStack

NODELAY: Final = os.environ | {"TCP_NODELAY": "1"}
_OURS: Final = ("gateway", "coordinator", "postgres", "envoy")
_LEFT_OUT: Final = ("conversion", "analysis", "reporting", "deid", "triton")
_FOR_EVER_S: Final = "86400"


class Peer(Protocol):
    """Something that takes C-STORE."""

    name: str

    @property
    def port(self) -> int:
        """Its DICOM port."""
        ...

    def processes(self) -> dict[str, int]:
        """Process ids by name."""
        ...

    def hashes(self) -> list[str]:
        """Pixel hashes of all that it stores, sorted."""
        ...


class Ours:
    """A whole stack, without what works on studies: the others do no such work."""

    name = "heimdallr"

    def __init__(self) -> None:
        arguments = [word for part in _LEFT_OUT for word in ("--without", part)]
        # No study is called complete meanwhile.
        waits = {
            f"HEIMDALLR_COORDINATOR_{name}_AFTER_S": _FOR_EVER_S for name in ("QUIET", "RELEASED")
        }
        self.stack = RunningStack(arguments=tuple(arguments), environ=waits)

    def __enter__(self) -> Self:
        self.stack.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.__exit__(*error)

    @property
    def port(self) -> int:
        """See ``Peer``."""
        return self.stack.dicom_port

    def processes(self) -> dict[str, int]:
        """See ``Peer``."""
        return {name: self.stack.pid(name) for name in _OURS}

    def hashes(self) -> list[str]:
        """See ``Peer``: of the file of each row."""
        blobs = self.stack.data / "blobs"
        files = ((blobs / sha256[:2] / sha256) for sha256 in asyncio.run(self._rows()))
        return sorted(pixel_hash(file.read_bytes()) for file in files)

    async def _rows(self) -> list[str]:
        run = Path(self.stack.state.run)
        connection = await asyncpg.connect(socket_dsn(run / "pg", DATABASE))
        try:
            rows = await connection.fetch("SELECT sha256 FROM archive.instance")
            return [row["sha256"] for row in rows]
        finally:
            await connection.close()


class Orthanc:
    """Orthanc, which flushes each file (SyncStorageArea) and not its index."""

    name = "Orthanc"

    def __init__(self) -> None:
        self._orthanc = RunningOrthanc()

    def __enter__(self) -> Self:
        self._orthanc.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._orthanc.__exit__(*error)

    @property
    def port(self) -> int:
        """See ``Peer``."""
        return self._orthanc.dicom_port

    def processes(self) -> dict[str, int]:
        """See ``Peer``."""
        return {"Orthanc": self._orthanc.pid}

    def version(self) -> str:
        """Return its version."""
        return str(self._orthanc.get("/system")["Version"])

    def hashes(self) -> list[str]:
        """See ``Peer``."""
        ids: list[str] = self._orthanc.get("/instances")
        with ThreadPoolExecutor(4) as pool:
            return sorted(pool.map(lambda one: pixel_hash(self._orthanc.file(one)), ids))


class Storescp:
    """DCMTK's storescp, which flushes nothing."""

    name = "storescp"

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        tool = dcmtk_tool("storescp")
        if tool is None:
            raise FileNotFoundError("DCMTK's storescp is not installed")
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        options = ["-aet", "PEER", "--fork", "-od", str(self._folder), str(self.port)]
        self._process = subprocess.Popen([tool, *options], env=NODELAY)
        time.sleep(0.5)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        self._stack.close()

    def processes(self) -> dict[str, int]:
        """See ``Peer``: it forks for each association, so there is nothing to look at."""
        return {}

    def hashes(self) -> list[str]:
        """See ``Peer``."""
        return sorted(pixel_hash(path.read_bytes()) for path in self._folder.iterdir())


def cpu_seconds(processes: dict[str, int]) -> dict[str, float]:
    """Return the CPU seconds of processes and their children, by name."""
    seconds = {}
    for name, pid in processes.items():
        root = psutil.Process(pid)
        times = [one.cpu_times() for one in (root, *root.children(recursive=True))]
        seconds[name] = sum(t.user + t.system for t in times)
    return seconds
