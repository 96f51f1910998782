"""Orthanc as a peer of ours: an archive that nobody here wrote."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import pytest

from services.cli.stack.ports import free_ports

_PLUGINS: Final = Path("/usr/share/orthanc/plugins")
_READY_S: Final = 30.0


def require_orthanc() -> None:
    """Skip the test where Orthanc or its DICOMweb plugin is absent."""
    if shutil.which("Orthanc") is None or not (_PLUGINS / "libOrthancDicomWeb.so").exists():
        pytest.skip("Orthanc is not installed (apt-get install orthanc orthanc-dicomweb)")


@dataclass
class RunningOrthanc:
    """An Orthanc on ports of its own, with an empty store that is removed in the end.

    It binds every interface whatever it is told, so it talks to nobody but 127.0.0.1.

    Attributes:
        modalities: DIMSE peers it knows: AE title, host, port by their names there.
        options: Settings of Orthanc that are added or replaced.
    """

    modalities: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    ae_title: str = "ORTHANC"
    ports: list[int] = field(default_factory=lambda: free_ports(2))
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="orthanc-")))
    _process: subprocess.Popen[bytes] | None = None

    @property
    def http_port(self) -> int:
        """Port of its REST API."""
        return self.ports[0]

    @property
    def dicom_port(self) -> int:
        """Port of its DICOM server."""
        return self.ports[1]

    @property
    def dicomweb_url(self) -> str:
        """Root of its DICOMweb plugin."""
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        configuration = self.folder / "orthanc.json"
        configuration.write_text(json.dumps(self._configuration()))
        with (self.folder / "orthanc.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["Orthanc", str(configuration)],
                stdout=log,
                stderr=subprocess.STDOUT,
                # Otherwise Nagle's delay is timed, not Orthanc.
                env={"TCP_NODELAY": "1", "PATH": "/usr/sbin:/usr/bin:/bin", "HOME": "/nonexistent"},
            )
        self._wait_ready()
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()
            shutil.rmtree(self.folder, ignore_errors=True)

    def get(self, path: str) -> Any:
        """Return the JSON answer of its REST API."""
        with urllib.request.urlopen(self._url(path), timeout=60) as answer:  # noqa: S310 -- a peer on loopback
            return json.loads(answer.read())

    def post(self, path: str, body: object) -> Any:
        """Post JSON to its REST API, or bytes as they are, and return its JSON answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self._url(path), data=data, method="POST")  # noqa: S310 -- a peer on loopback
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 -- a peer on loopback
            return json.loads(answer.read() or b"null")

    def file(self, instance: str) -> bytes:
        """Return the DICOM file of an instance by Orthanc's own id."""
        url = self._url(f"/instances/{instance}/file")
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 -- a peer on loopback
            return bytes(answer.read())

    def instance_count(self) -> int:
        """Return how many instances it stores."""
        return int(self.get("/statistics")["CountInstances"])

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http_port}{path}"

    def _configuration(self) -> dict[str, Any]:
        return {
            "Name": "peer",
            "StorageDirectory": str(self.folder / "store"),
            "IndexDirectory": str(self.folder / "store"),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": self.ae_title,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomCheckModalityHost": True,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomModalities": {name: list(peer) for name, peer in self.modalities.items()},
            "SyncStorageArea": True,
            "StorageCompression": False,
            "Plugins": [str(_PLUGINS / "libOrthancDicomWeb.so")],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": True},
            **self.options,
        }

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + _READY_S
        while True:
            try:
                self.get("/system")
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > deadline:
                    raise AssertionError((self.folder / "orthanc.log").read_text()) from None
                time.sleep(0.1)
            else:
                return
