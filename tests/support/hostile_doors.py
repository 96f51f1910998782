"""The doors through which a stranger may send an instance."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any, Final, Protocol

from services.dicom.errors import DicomError
from services.dicom.part10 import FileMeta, split_part10
from services.dicom.uids import STORAGE_TRANSFER_SYNTAXES, is_storage_sop_class
from tests.support.hostile_instances import EXPLICIT, HostileInstance
from tests.support.instances import CT
from tests.support.running_stack import RunningStack
from tests.support.scu import Scu

_FRAGMENT_BYTES: Final = 16_000
_TIMEOUT_S: Final = 30.0
_BOUNDARY: Final = "hostile-boundary"


class Door(Protocol):
    """Sends an instance and says what became of it.

    Attributes:
        takes_files: Whether instances come as DICOM files.
    """

    takes_files: bool

    def send(self, instance: HostileInstance) -> bool:
        """Return whether the instance was taken; fails when there is no definite answer."""
        ...

    def send_file(self, file: bytes) -> bool:
        """Do the same with a file as it is."""
        ...


class DimseDoor:
    """C-STORE, with what is announced in the command set."""

    takes_files = False

    def __init__(self, stack: RunningStack) -> None:
        self._port = stack.dicom_port

    def send(self, instance: HostileInstance) -> bool:
        """See `Door`."""
        with Scu(self._port, timeout_s=_TIMEOUT_S) as scu:
            scu.associate([(1, instance.sop_class_uid, (instance.transfer_syntax_uid,))])
            status = scu.store(
                instance.data_set,
                instance.sop_instance_uid,
                instance.sop_class_uid,
                1,
                fragment_bytes=_FRAGMENT_BYTES,
            )
        assert status in (0x0000, 0x0117, 0xA900, 0xC000), f"{status:04X}"
        return status == 0x0000

    def send_file(self, file: bytes) -> bool:
        """Announce a file as its file meta information does, if it has any."""
        try:
            meta, offset = split_part10(file)
        except DicomError:
            meta, offset = FileMeta("", "", ""), 0
        sop_class = meta.sop_class_uid if is_storage_sop_class(meta.sop_class_uid) else CT
        syntax = meta.transfer_syntax_uid
        syntax = syntax if syntax in STORAGE_TRANSFER_SYNTAXES else EXPLICIT
        uid = meta.sop_instance_uid or "1.2.3"
        return self.send(HostileInstance("a file", file[offset:], False, sop_class, uid, syntax))


class StowDoor:
    """STOW-RS, one file a request."""

    takes_files = True

    def __init__(self, stack: RunningStack) -> None:
        self._http = _Http(stack)

    def send(self, instance: HostileInstance) -> bool:
        """See `Door`."""
        return self.send_file(instance.part10())

    def send_file(self, file: bytes) -> bool:
        """See `Door`."""
        head = f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        body = head + file + f"\r\n--{_BOUNDARY}--\r\n".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'
        headers = {"Content-Type": kind, "Accept": "application/dicom+json"}
        status, _ = self._http.ask("POST", "/dicom-web/studies", body, headers)
        assert status in (200, 202, 400, 409, 413, 415), status
        return status in (200, 202)


class UploadDoor:
    """A resumable upload of one file."""

    takes_files = True

    def __init__(self, stack: RunningStack) -> None:
        self._http = _Http(stack)

    def send(self, instance: HostileInstance) -> bool:
        """See `Door`."""
        return self.send_file(instance.part10())

    def send_file(self, file: bytes) -> bool:
        """See `Door`."""
        headers = {
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(len(file)),
            "Content-Type": "application/offset+octet-stream",
        }
        status, place = self._http.ask("POST", "/api/v1/uploads", file, headers)
        assert status == 201, status
        outcome = self._outcome(str(place))
        found = outcome["stored"] + outcome["duplicates"], outcome["refused_count"]
        assert sum(found) + outcome["skipped_count"] == 1, outcome
        return bool(found[0])

    def _outcome(self, place: str) -> dict[str, Any]:
        deadline = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < deadline:
            status, outcome = self._http.ask("GET", place, b"", {})
            assert status == 200
            if isinstance(outcome, dict) and outcome["state"] == "done":
                return outcome
            time.sleep(0.02)
        raise AssertionError("no definite outcome")


class _Http:
    """Asks the public listener as the operator."""

    def __init__(self, stack: RunningStack) -> None:
        self._port = stack.http_port
        self._token = Path(stack.state.run) / "tokens/operator.jwt"

    def ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, object]:
        """Return the status, and the address that was told or the JSON of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_S)
        bearer = {"Authorization": f"Bearer {self._token.read_text().strip()}"}
        try:
            connection.request(method, path, body, headers | bearer)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        place = answer.getheader("Location")
        return answer.status, place or (json.loads(data) if data else None)


DOORS: Final = (DimseDoor, StowDoor, UploadDoor)
