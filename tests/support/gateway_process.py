"""The gateway as a process of its own, to be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from services.cli.stack.ports import free_ports
from services.cli.stack.readiness import grpc_serving

ROOT = Path(__file__).resolve().parents[2]


class GatewayProcess:
    """Runs ``python -m gateway`` on a folder.

    Args:
        folder: Short folder for its socket, and its data unless told otherwise.
        data: Where blobs and journal lie.
        before: Command that the gateway's own is given to, such as ``unshare``.
        settings: Environment variables after HEIMDALLR_.
    """

    def __init__(
        self,
        folder: Path,
        *,
        data: Path | None = None,
        before: Sequence[str] = (),
        **settings: str,
    ) -> None:
        self.folder = folder
        self.data = data or folder
        self.port = free_ports(1)[0]
        self._before = before
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start it and wait until it serves."""
        for name in ("token", "jwks.json"):
            (self.folder / name).write_text("x", encoding="ascii")
        self._process = self._spawn()
        deadline = time.monotonic() + 30
        while not await self._serves():
            assert self.is_alive, (self.folder / "gateway.log").read_text()
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)

    def kill(self) -> None:
        """End it as a power switch would."""
        self._signal(signal.SIGKILL)

    def stop(self) -> int:
        """End it in order and return its exit code."""
        return self._signal(signal.SIGTERM)

    def log(self) -> str:
        return (self.folder / "gateway.log").read_text()

    def _spawn(self) -> subprocess.Popen[bytes]:
        with (self.folder / "gateway.log").open("ab") as log:
            return subprocess.Popen(
                [*self._before, sys.executable, "-m", "gateway"],
                cwd=ROOT,
                env=self._environ(),
                stdout=log,
                stderr=log,
            )

    def _signal(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        return self._process.wait(20)

    def _environ(self) -> dict[str, str]:
        values = {
            "SERVICE_NAME": "gateway",
            "LISTEN": f"unix:{self.folder}/gateway.sock",
            "MESH": f"unix:{self.folder}/mesh.sock",
            "TOKEN_FILE": str(self.folder / "token"),
            "JWKS_FILE": str(self.folder / "jwks.json"),
            "BLOBS": (self.data / "blobs").as_uri(),
            "BLOBS_FREE_BYTES": "0",
            "GATEWAY_DICOM_ADDRESS": f"127.0.0.1:{self.port}",
            "GATEWAY_JOURNAL_FOLDER": str(self.data / "journal"),
            "GATEWAY_INTAKE_ADDRESS": f"unix:{self.folder}/intake.sock",
        } | self._settings
        environ = {f"HEIMDALLR_{key}": value for key, value in values.items()}
        path = f"{ROOT}:{ROOT / 'gen/python'}"
        return {"PATH": os.environ["PATH"], "PYTHONPATH": path} | environ

    async def _serves(self) -> bool:
        return await grpc_serving(f"unix:{self.folder}/gateway.sock")()
