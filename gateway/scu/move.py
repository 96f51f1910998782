"""C-MOVE (PS3.4 section C.4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from gateway.scu.association import Called, Caller, Offer
from gateway.scu.echo import PLAIN_SYNTAXES, SUCCESS
from gateway.scu.find import PENDING, refusal
from gateway.scu.identifier import Model, RetrieveKeys, data_set
from gateway.scu.worker import Outlet

UNKNOWN: Final = -1
WARNING: Final = 0xB000
"""Sub-operations complete, one or more failures."""
MAX_FAILED: Final = 1_000


@dataclass(frozen=True, slots=True)
class MoveProgress:
    """What a peer tells of a move.

    Attributes:
        remaining: Instances that it has still to send; -1 when it does not say.
        completed: Instances that it sent.
        failed: Instances that it could not send.
        warning: Instances that it sent with a warning.
        failed_uids: SOP Instance UIDs that it could not send, as far as it names them.
    """

    remaining: int
    completed: int
    failed: int
    warning: int
    failed_uids: tuple[str, ...] = ()


def move(
    caller: Caller,
    called: Called,
    model: Model,
    wanted: RetrieveKeys,
    destination: str,
    outlet: Outlet[MoveProgress],
) -> None:
    """Make a peer send instances to an AE title; puts what it tells.

    Raises:
        PeerUnreachableError, PeerRefusedError: It does not answer, or with a failure.
        InvalidFieldError: A key is absent.
    """
    identifier = data_set(wanted.level, wanted.keys(model))
    with caller.line(called, [Offer(model.move_class, PLAIN_SYNTAXES)], outlet) as line:
        responses = line.association.send_c_move(identifier, destination, model.move_class)
        for status, answer in responses:
            code = status.get("Status")
            if code is None:
                raise line.lost()
            outlet.put(_progress(status, answer))
            if code not in (SUCCESS, WARNING, *PENDING):
                raise refusal(line, code, "C-MOVE")


def count(status: Any, keyword: str, absent: int = 0) -> int:
    """Return a number of sub-operations of a response."""
    value = status.get(keyword)
    return absent if value is None else int(value)


def failed_uids(answer: Any) -> tuple[str, ...]:
    """Return Failed SOP Instance UID List (0008,0058) of the last response."""
    if answer is None or "FailedSOPInstanceUIDList" not in answer:
        return ()
    value = answer.FailedSOPInstanceUIDList
    found = [value] if isinstance(value, str) else list(value or ())
    return tuple(str(uid) for uid in found[:MAX_FAILED] if uid)


def _progress(status: Any, answer: Any) -> MoveProgress:
    last = status.Status not in PENDING
    return MoveProgress(
        remaining=count(status, "NumberOfRemainingSuboperations", 0 if last else UNKNOWN),
        completed=count(status, "NumberOfCompletedSuboperations"),
        failed=count(status, "NumberOfFailedSuboperations"),
        warning=count(status, "NumberOfWarningSuboperations"),
        failed_uids=failed_uids(answer),
    )
