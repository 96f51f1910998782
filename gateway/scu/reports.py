"""Reports of storage commitment that peers bring over associations of their own (PS3.4 J.3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.dimse.commands import N_EVENT_REPORT_RQ, SUCCESS, Reply, Status
from gateway.dimse.service import Request, Responder
from gateway.scu.commit import PUSH_MODEL, Commitments
from services.dicom.errors import DicomError

_PROCESSING_FAILURE: Final = Status(0x0110, "the report is broken")
_NOBODY_ASKED: Final = Status(0x0112, "no such transaction")


class CommitmentReports:
    """Takes reports to whoever waits for them.

    Args:
        commitments: What is waited for. Transaction UIDs are ours and cannot be guessed, so that
            a report needs no other proof of who sends it.
    """

    operations: Mapping[str, frozenset[int]] = MappingProxyType(
        {PUSH_MODEL: frozenset({N_EVENT_REPORT_RQ})}
    )
    options: Mapping[str, bytes] = MappingProxyType({})

    def __init__(self, commitments: Commitments) -> None:
        self._commitments = commitments

    async def serve(self, request: Request, responder: Responder) -> Reply:
        """See ``Provider``."""
        try:
            awaited = self._commitments.report(request.data_set, request.context.transfer_syntax)
        except DicomError:
            return Reply(_PROCESSING_FAILURE)
        return Reply(SUCCESS if awaited else _NOBODY_ASKED)
