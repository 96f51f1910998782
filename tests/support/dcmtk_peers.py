"""DCMTK's providers as peers of ours: an archive and a plain store."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from services.cli.stack.ports import free_ports
from tests.support.dcmtk import dcmtk_tool

_READY_S = 20.0


@dataclass
class Provider:
    """A program that listens on a port of its own.

    Attributes:
        arguments: What it is told besides its port.
        tool: Its name.
        port: Where it listens.
        folder: Where it keeps what it gets; removed in the end.
    """

    arguments: Sequence[str] = ()
    tool: str = "storescp"
    port: int = field(default_factory=lambda: free_ports(1)[0])
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="dcmtk-")))
    _process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return its arguments."""
        return ["-od", str(self.folder), *self.arguments, str(self.port)]

    @property
    def files(self) -> list[Path]:
        """What it keeps."""
        return [path for path in self.folder.iterdir() if path.is_file()]

    def __enter__(self) -> Self:
        program = dcmtk_tool(self.tool)
        assert program is not None
        with (self.folder.with_suffix(".log")).open("wb") as log:
            self._process = subprocess.Popen(
                [program, *self.command()],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"TCP_NODELAY": "1"},
            )
        deadline = time.monotonic() + _READY_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise AssertionError(self.log())
            time.sleep(0.05)
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.with_suffix(".log").unlink()

    def log(self) -> str:
        """Return what it said."""
        return self.folder.with_suffix(".log").read_text(errors="replace")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@dataclass
class QueryRetrieveArchive(Provider):
    """DCMTK's dcmqrscp with one storage area.

    Attributes:
        ae_title: What it is called.
        destinations: Where it moves to: AE title and port, on this machine.
    """

    tool: str = "dcmqrscp"
    ae_title: str = "ARCHIVE"
    destinations: dict[str, int] = field(default_factory=dict)

    def command(self) -> list[str]:
        """See ``Provider``."""
        area = self.folder / "area"
        area.mkdir()
        hosts = [f"{t} = ({t}, 127.0.0.1, {port})" for t, port in self.destinations.items()]
        configuration = self.folder / "dcmqrscp.cfg"
        configuration.write_text(
            "\n".join(
                (
                    f"NetworkTCPPort = {self.port}",
                    "MaxPDUSize = 16384",
                    "MaxAssociations = 16",
                    "HostTable BEGIN",
                    *hosts,
                    "HostTable END",
                    "VendorTable BEGIN",
                    "VendorTable END",
                    "AETable BEGIN",
                    f"{self.ae_title} {area} RW (200, 1024mb) ANY",
                    "AETable END",
                    "",
                )
            )
        )
        return ["-c", str(configuration), *self.arguments]
