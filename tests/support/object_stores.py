"""Object stores on this machine: S3 by moto, Azure by Azurite where it is installed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from services.cli.stack.ports import free_ports

BUCKET: Final = "heimdallr"
_ACCOUNT: Final = "devstoreaccount1"
_ACCOUNT_KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""The account that every Azurite has, as its manual prints it."""


@dataclass(frozen=True)
class ObjectServer:
    """A running store.

    Attributes:
        url: URL of our part of it.
        environ: Where programs find it, and what they show it.
    """

    url: str
    environ: Mapping[str, str]


@contextmanager
def s3() -> Iterator[ObjectServer]:
    """Run an S3 server with a bucket in it."""
    (port,) = free_ports(1)
    program = str(Path(sys.executable).with_name("moto_server"))
    endpoint = f"http://127.0.0.1:{port}"
    environ = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT": endpoint,
        "AWS_ALLOW_HTTP": "true",
    }
    with _running([program, "-H", "127.0.0.1", "-p", str(port)], port):
        request = urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")  # noqa: S310
        with urllib.request.urlopen(request, timeout=20):  # noqa: S310 -- http, and our own
            pass
        yield ObjectServer(f"s3://{BUCKET}/site", environ)


@contextmanager
def azure() -> Iterator[ObjectServer]:
    """Run Azurite with its own well-known account; skips where it is not installed."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("Azurite is not installed: npm install -g azurite@3.37.0")
    (port,) = free_ports(1)
    arguments = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent"]
    arguments += ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    endpoint = f"http://127.0.0.1:{port}/{_ACCOUNT}"
    with _running([program, *arguments], port):
        environ = {
            "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": _ACCOUNT_KEY,
            "AZURE_STORAGE_ENDPOINT": endpoint,
            "AZURE_ALLOW_HTTP": "true",
        }
        yield ObjectServer(f"az://{BUCKET}/site", environ)


@contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    try:
        _wait_for(port, process)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the object store does not answer")
