"""C-GET (PS3.4 section C.4.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pynetdicom import evt

from gateway.scu.association import MAX_CONTEXTS, Called, Caller, Offer
from gateway.scu.echo import PLAIN_SYNTAXES, SUCCESS
from gateway.scu.find import PENDING, refusal
from gateway.scu.identifier import Model, RetrieveKeys, data_set
from gateway.scu.move import UNKNOWN, WARNING, count
from gateway.scu.worker import Outlet

MAX_SOP_CLASSES: Final = 110
Take = Callable[[Path], int]
"""Takes a DICOM file and returns the status for it, PS3.4 Table B.2-1; the file may go then."""
_COMPRESSED: Final = (
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.102",  # MPEG-4
)


@dataclass(frozen=True, slots=True)
class GetProgress:
    """What a peer tells of a C-GET: see ``MoveProgress``."""

    remaining: int
    completed: int
    failed: int


def get(
    caller: Caller,
    called: Called,
    model: Model,
    wanted: RetrieveKeys,
    sop_class_uids: Sequence[str],
    take: Take,
    max_file_bytes: int,
    outlet: Outlet[GetProgress],
) -> None:
    """Fetch instances from a peer; puts what it tells after each that it sends.

    Raises:
        PeerUnreachableError, PeerRefusedError: It does not answer, or with a failure.
        InvalidFieldError: A key is absent.
    """
    identifier = data_set(wanted.level, wanted.keys(model))
    offers = [Offer(model.get_class, PLAIN_SYNTAXES), *storage_offers(sop_class_uids)]

    def stored(event: Any) -> int:
        path = Path(event.dataset_path)
        try:
            outlet.check()
            return take(path)
        finally:
            path.unlink(missing_ok=True)

    handlers = [(evt.EVT_C_STORE, stored)]
    most = max_file_bytes + (1 << 20)
    with (
        ExitStack() as stack,
        caller.line(called, offers, outlet, max_message_bytes=most, handlers=handlers) as line,
    ):
        stack.callback(_drop_half, line.association.dimse)
        for status, _ in line.association.send_c_get(identifier, model.get_class):
            code = status.get("Status")
            if code is None:
                raise line.lost()
            if code not in (SUCCESS, WARNING, *PENDING):
                raise refusal(line, code, "C-GET")
            outlet.put(_progress(status))


def storage_offers(sop_class_uids: Sequence[str]) -> list[Offer]:
    """Return contexts in which the peer may store: uncompressed, and each compressed form.

    A peer accepts one form of a context; with one context a form it can send what it has.
    """
    room = MAX_CONTEXTS - 1
    offers = [Offer(uid, PLAIN_SYNTAXES, as_provider=True) for uid in sop_class_uids[:room]]
    for syntax in _COMPRESSED:
        if len(offers) + len(sop_class_uids) > room:
            break
        offers += [Offer(uid, (syntax,), as_provider=True) for uid in sop_class_uids]
    return offers


def _drop_half(provider: Any) -> None:
    """Remove the file of an instance that was arriving as the association ended."""
    file = getattr(provider.message, "_data_set_file", None)
    if file is not None:
        file.close()
        Path(file.name).unlink(missing_ok=True)


def _progress(status: Any) -> GetProgress:
    last = status.Status not in PENDING
    return GetProgress(
        remaining=count(status, "NumberOfRemainingSuboperations", 0 if last else UNKNOWN),
        completed=count(status, "NumberOfCompletedSuboperations")
        + count(status, "NumberOfWarningSuboperations"),
        failed=count(status, "NumberOfFailedSuboperations"),
    )
