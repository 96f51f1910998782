"""How sub-operations of a C-MOVE or C-GET go, and the responses that tell (PS3.4 C.4.2.1.5)."""

from __future__ import annotations

from typing import Final

from gateway.dimse.commands import COMPLETED, FAILED, REMAINING, SUCCESS, WARNING, Reply, Status
from gateway.query_retrieve.identifier import encode_data_set

FAILED_UIDS: Final = 0x00080058
PENDING: Final = Status(0xFF00)
CANCELLED: Final = Status(0xFE00, "cancelled")
SOME_FAILED: Final = Status(0xB000, "not every sub-operation succeeded")
ALL_FAILED: Final = Status(0xA702, "no sub-operation succeeded")
_MOST: Final = 0xFFFF
_MOST_UIDS: Final = 1_000
"""As many as a value of explicit VR can hold."""


class Progress:
    """Counts sub-operations.

    Args:
        total: How many there are.
        transfer_syntax_uid: In which the list of those that failed is encoded.
    """

    def __init__(self, total: int, transfer_syntax_uid: str) -> None:
        self.remaining = total
        self._completed = self._warned = self._failed = 0
        self._failed_uids: list[str] = []
        self._syntax = transfer_syntax_uid

    def count(self, sop_instance_uid: str, status: int) -> None:
        """Count a sub-operation by the status its C-STORE got (PS3.4 Table B.2-1)."""
        self.remaining -= 1
        if status == SUCCESS.code:
            self._completed += 1
        elif status >> 12 == 0xB or status in (0x0001, 0x0107, 0x0116):
            self._warned += 1
        else:
            self.fail(sop_instance_uid)
            self.remaining += 1

    def fail(self, sop_instance_uid: str) -> None:
        """Count a sub-operation that could not be done."""
        self.remaining -= 1
        self._failed += 1
        if len(self._failed_uids) < _MOST_UIDS:
            self._failed_uids.append(sop_instance_uid)

    def pending(self) -> Reply:
        """Return a response that tells how far it is."""
        return Reply(PENDING, numbers={REMAINING: min(self.remaining, _MOST), **self._counts()})

    def last(self) -> Reply:
        """Return the response once every sub-operation is done."""
        if not self._failed and not self._warned:
            return Reply(SUCCESS, numbers=self._counts())
        done = self._completed + self._warned
        return Reply(SOME_FAILED if done else ALL_FAILED, self._list(), numbers=self._counts())

    def cancelled(self) -> Reply:
        """Return the response to a C-CANCEL."""
        numbers = {REMAINING: min(self.remaining, _MOST), **self._counts()}
        return Reply(CANCELLED, self._list(), numbers=numbers)

    def _counts(self) -> dict[int, int]:
        return {
            COMPLETED: min(self._completed, _MOST),
            FAILED: min(self._failed, _MOST),
            WARNING: min(self._warned, _MOST),
        }

    def _list(self) -> bytes:
        if not self._failed_uids:
            return b""
        return encode_data_set({FAILED_UIDS: "\\".join(self._failed_uids)}, self._syntax)
