"""Our own storage service class user (PS3.4 Annex B): files out over several associations."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pynetdicom import AE, _config, evt

from services.dicom.errors import DicomError
from services.dicom.part10 import FileMeta, split_part10
from services.dicom.uids import is_storage_sop_class, valid_uid

SUCCESS: Final = 0x0000
_MAX_CONTEXTS: Final = 120  # of 128 that fit into one association
_ATTEMPTS: Final = 2
_TIMEOUT_S: Final = 60
_DICOMDIR: Final = "1.2.840.10008.1.3.10"


@dataclass(frozen=True, slots=True)
class Destination:
    """A storage provider.

    Attributes:
        host: Name or address.
        port: DICOM port.
        called: Its AE title.
        calling: Our AE title.
    """

    host: str
    port: int
    called: str = "HEIMDALLR"
    calling: str = "HEIMDALLR_SCU"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file.

    Attributes:
        path: The file.
        status: Status of the C-STORE response (PS3.4 Table B.2-1); None when there was none.
        reason: Why it was not stored, in words of ours or the Error Comment; "" when it was.
    """

    path: Path
    status: int | None
    reason: str = ""

    @property
    def stored(self) -> bool:
        """Whether the provider has it; a warning (Bxxx) counts."""
        return self.status is not None and (self.status == SUCCESS or self.status >> 12 == 0xB)


@dataclass(frozen=True, slots=True)
class _Sendable:
    path: Path
    meta: FileMeta

    @property
    def context(self) -> tuple[str, str]:
        return self.meta.sop_class_uid, self.meta.transfer_syntax_uid


def dicom_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files named, and the DICOM files (PS3.10) in the folders named, in order.

    A DICOMDIR is passed over: it is never sent.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for file in sorted(path.rglob("*")):
            if file.is_file() and _sniff(file):
                yield file


def send_files(
    files: Sequence[Path],
    destination: Destination,
    *,
    associations: int = 4,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Send files as they are, over several associations, and return an outcome for each.

    Args:
        files: DICOM files.
        destination: Where to.
        associations: How many at the same time.
        on_outcome: Called from any thread as each is known.
    """
    # Streams the bytes of each file; otherwise they would be decoded and encoded again.
    _config.STORE_SEND_CHUNKED_DATASET = True
    outcomes = _Outcomes(on_outcome)
    sendable = [item for item in (_readable(path, outcomes) for path in files) if item is not None]
    with ThreadPoolExecutor(associations, "association") as pool:
        for batch in _batches(sendable):
            shares = [batch[start::associations] for start in range(associations)]
            for work in [pool.submit(_send_share, s, destination, outcomes) for s in shares if s]:
                work.result()
    found = {outcome.path: outcome for outcome in outcomes.found}
    return [found[path] for path in files]


class _Outcomes:
    """Collects outcomes from several threads."""

    def __init__(self, on_outcome: Callable[[Outcome], None] | None) -> None:
        self.found: list[Outcome] = []
        self._on_outcome = on_outcome
        self._lock = threading.Lock()

    def add(self, path: Path, status: int | None, reason: str = "") -> None:
        outcome = Outcome(path, status, reason)
        with self._lock:
            self.found.append(outcome)
            if self._on_outcome is not None:
                self._on_outcome(outcome)


def _sniff(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            meta, _ = split_part10(file)
    except (OSError, DicomError):
        return False
    return meta.sop_class_uid != _DICOMDIR


def _readable(path: Path, outcomes: _Outcomes) -> _Sendable | None:
    try:
        with path.open("rb") as file:
            meta, _ = split_part10(file)
    except OSError:
        outcomes.add(path, None, "cannot be read")
    except DicomError as error:
        outcomes.add(path, None, f"not a DICOM file: {error}")
    else:
        if valid_uid(meta.sop_class_uid) and valid_uid(meta.sop_instance_uid):
            return _Sendable(path, meta)
        outcomes.add(path, None, "file meta information lacks the SOP class or instance")
    return None


def _batches(files: Sequence[_Sendable]) -> Iterator[list[_Sendable]]:
    """Split so that no batch needs more presentation contexts than an association has."""
    batch: list[_Sendable] = []
    contexts: set[tuple[str, str]] = set()
    for file in files:
        if file.context not in contexts and len(contexts) == _MAX_CONTEXTS:
            yield batch
            batch, contexts = [], set()
        contexts.add(file.context)
        batch.append(file)
    if batch:
        yield batch


def _send_share(files: list[_Sendable], destination: Destination, outcomes: _Outcomes) -> None:
    """Send over one association; over a second what the first left when it broke."""
    rest, reason = files, ""
    for _ in range(_ATTEMPTS):
        rest, reason = _send_over_one(rest, destination, outcomes)
        if not rest:
            return
    for file in rest:
        outcomes.add(file.path, None, reason)


def _send_over_one(
    files: list[_Sendable], destination: Destination, outcomes: _Outcomes
) -> tuple[list[_Sendable], str]:
    """Return the files that have no outcome yet, and why."""
    ae = AE(ae_title=destination.calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = _TIMEOUT_S
    for sop_class, transfer_syntax in sorted({file.context for file in files}):
        ae.add_requested_context(sop_class, transfer_syntax)
    try:
        association = ae.associate(
            destination.host,
            destination.port,
            ae_title=destination.called,
            evt_handlers=[(evt.EVT_CONN_OPEN, _set_no_delay)],
        )
    except (OSError, RuntimeError):
        return files, "cannot connect"
    if not association.is_established:
        return files, "association rejected" if association.is_rejected else "cannot connect"
    try:
        for position, file in enumerate(files):
            if not _send_one(file, association, outcomes):
                return files[position:], "association lost"
    finally:
        if association.is_established:
            association.release()
    return [], ""


def _send_one(file: _Sendable, association: Any, outcomes: _Outcomes) -> bool:
    """Send one file; false when the association is gone."""
    try:
        response = association.send_c_store(file.path)
    except RuntimeError:
        return False
    except ValueError:
        known = is_storage_sop_class(file.meta.sop_class_uid)
        reason = "transfer syntax not accepted" if known else "SOP class not accepted"
        outcomes.add(file.path, None, reason)
        return True
    except (OSError, AttributeError):
        outcomes.add(file.path, None, "cannot be read")
        return True
    status = response.get("Status")
    if status is None:
        return False
    comment = str(response.get("ErrorComment", "") or "refused")
    outcomes.add(file.path, status, "" if status == SUCCESS else comment)
    return True


def _set_no_delay(event: Any) -> None:
    connection = getattr(event.assoc.dul.socket, "socket", None)
    if connection is not None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
