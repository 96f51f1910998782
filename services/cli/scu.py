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

from services.cli.sendable import Sendable, file_as_announced, read_sendable
from services.dicom.errors import DicomError, MissingElementError
from services.dicom.part10 import split_part10

SUCCESS: Final = 0x0000
_MAX_CONTEXTS: Final = 120  # of 128 that fit into one association
_ATTEMPTS: Final = 2
_TIMEOUT_S: Final = 60
_SOP_CLASS_REFUSED: Final = 0x03  # PS3.8 Table 9-18, of a presentation context
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


def _readable(path: Path, outcomes: _Outcomes) -> Sendable | None:
    try:
        return read_sendable(path)
    except OSError:
        outcomes.add(path, None, "cannot be read")
    except MissingElementError as error:
        reason = f"the file names no {error.field} (required)"
        outcomes.add(path, None, reason)
    except DicomError as error:
        outcomes.add(path, None, f"not a DICOM file: {error}")
    return None


def _batches(files: Sequence[Sendable]) -> Iterator[list[Sendable]]:
    """Split so that no batch needs more presentation contexts than an association has."""
    batch: list[Sendable] = []
    contexts: set[tuple[str, str]] = set()
    for file in files:
        if file.context not in contexts and len(contexts) == _MAX_CONTEXTS:
            yield batch
            batch, contexts = [], set()
        contexts.add(file.context)
        batch.append(file)
    if batch:
        yield batch


def _send_share(files: list[Sendable], destination: Destination, outcomes: _Outcomes) -> None:
    """Send over one association; over a second what the first left when it broke."""
    rest, reason = files, ""
    for _ in range(_ATTEMPTS):
        rest, reason = _send_over_one(rest, destination, outcomes)
        if not rest:
            return
    for file in rest:
        outcomes.add(file.path, None, reason)


def _send_over_one(
    files: list[Sendable], destination: Destination, outcomes: _Outcomes
) -> tuple[list[Sendable], str]:
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
    if not association.is_established and association.rejected_contexts:
        for file in files:
            outcomes.add(file.path, None, _refused_context(file, association))
        return [], ""
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


def _send_one(file: Sendable, association: Any, outcomes: _Outcomes) -> bool:
    """Send one file; false when the association is gone."""
    try:
        with file_as_announced(file) as path:
            response = association.send_c_store(path)
    except RuntimeError:
        return False
    except ValueError:
        outcomes.add(file.path, None, _refused_context(file, association))
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


def _refused_context(file: Sendable, association: Any) -> str:
    """Return why no accepted presentation context fits a file."""
    for context in association.rejected_contexts:
        asked = (context.abstract_syntax, context.transfer_syntax[0])
        if asked == file.context and context.result == _SOP_CLASS_REFUSED:
            return "SOP class not accepted"
    return "transfer syntax not accepted"


def _set_no_delay(event: Any) -> None:
    connection = getattr(event.assoc.dul.socket, "socket", None)
    if connection is not None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
