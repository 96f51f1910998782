"""Storage commitment as user (PS3.4 Annex J): a peer says whether it keeps what it was sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset
from pynetdicom import evt

from gateway.peers.errors import PeerRefusedError
from gateway.query_retrieve.stored import StoredInstance
from gateway.scu.association import Called, Caller, Offer
from gateway.scu.echo import PLAIN_SYNTAXES, SUCCESS
from gateway.scu.worker import Outlet
from services.dicom.errors import DicomError
from services.dicom.json import JsonObject, header_json
from services.dicom.uids import new_uid
from services.dicom.walk import Limits

PUSH_MODEL: Final = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
MAX_REFERENCES: Final = 5_000
"""Instances of one request; more are asked for in several."""
_REQUEST_COMMITMENT: Final = 1
_HELD_S: Final = 3.0
_LIMITS: Final = Limits(max_elements=100_000, max_item_elements=20_000, max_depth=4)
_TRANSACTION, _REFERENCED, _FAILED = "00081195", "00081199", "00081198"
_INSTANCE: Final = "00081155"


@dataclass(frozen=True, slots=True)
class Commitment:
    """What a peer committed to.

    Attributes:
        kept: SOP Instance UIDs that it keeps.
        failed: SOP Instance UIDs that it does not.
    """

    kept: frozenset[str]
    failed: frozenset[str]


class Commitments:
    """Requests that wait for their report, which comes by either side's association.

    Used in the event loop alone.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[Commitment]] = {}

    def expect(self, transaction_uid: str) -> asyncio.Future[Commitment]:
        """Return what is done once the report of a transaction has come."""
        future: asyncio.Future[Commitment] = asyncio.get_running_loop().create_future()
        self._waiting[transaction_uid] = future
        future.add_done_callback(lambda _: self._waiting.pop(transaction_uid, None))
        return future

    def report(self, data_set: bytes, transfer_syntax_uid: str) -> bool:
        """Take a report and return whether somebody waited for it.

        Args:
            data_set: Event information of an N-EVENT-REPORT (PS3.4 Table J.3-2).
            transfer_syntax_uid: How it is encoded.

        Raises:
            DicomError: It is broken.
        """
        found = header_json(data_set, transfer_syntax_uid, _LIMITS)
        future = self._waiting.get(_first(found, _TRANSACTION))
        if future is None or future.done():
            return False
        future.set_result(Commitment(_uids(found, _REFERENCED), _uids(found, _FAILED)))
        return True


def request_commitment(
    caller: Caller,
    called: Called,
    transaction_uid: str,
    instances: Sequence[StoredInstance],
    report: Commitments,
    loop: asyncio.AbstractEventLoop,
    outlet: Outlet[bool],
) -> None:
    """Ask a peer to commit, and hear for a moment whether it reports at once; puts True.

    Raises:
        PeerUnreachableError, PeerRefusedError: It does not take the request.
    """
    heard = threading.Event()

    def reported(event: Any) -> tuple[int, None]:
        request = event.request
        data = request.EventInformation.getvalue() if request.EventInformation else b""
        syntax = str(event.context.transfer_syntax)
        loop.call_soon_threadsafe(_report, report, data, syntax)
        heard.set()
        return SUCCESS, None

    handlers = [(evt.EVT_N_EVENT_REPORT, reported)]
    offer = Offer(PUSH_MODEL, PLAIN_SYNTAXES)
    with caller.line(called, [offer], outlet, handlers=handlers) as line:
        status, _ = line.association.send_n_action(
            _information(transaction_uid, instances),
            _REQUEST_COMMITMENT,
            PUSH_MODEL,
            PUSH_MODEL_INSTANCE,
        )
        code = status.get("Status")
        if code is None:
            raise line.lost()
        if code != SUCCESS:
            raise PeerRefusedError(called.peer.name, f"{code:04X}", "storage commitment")
        heard.wait(_HELD_S)
    outlet.put(True)


def new_transaction() -> str:
    """Return a Transaction UID (0008,1195)."""
    return new_uid()


def _report(report: Commitments, data: bytes, syntax: str) -> None:
    try:
        report.report(data, syntax)
    except DicomError:
        return


def _information(transaction_uid: str, instances: Sequence[StoredInstance]) -> Dataset:
    information = Dataset()
    information.TransactionUID = transaction_uid
    references = []
    for instance in instances:
        reference = Dataset()
        reference.ReferencedSOPClassUID = instance.sop_class_uid
        reference.ReferencedSOPInstanceUID = instance.sop_instance_uid
        references.append(reference)
    information.ReferencedSOPSequence = references
    return information


def _first(found: JsonObject, tag: str) -> str:
    values = found.get(tag, {}).get("Value", ())
    return str(values[0]) if values else ""


def _uids(found: JsonObject, tag: str) -> frozenset[str]:
    return frozenset(_first(item, _INSTANCE) for item in found.get(tag, {}).get("Value", ()))
