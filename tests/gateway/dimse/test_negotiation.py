"""Which presentation contexts are taken (PS3.8 Table 9-18, PS3.4 Annex B)."""

from __future__ import annotations

import pytest

from gateway.dimse.negotiation import (
    ABSTRACT_SYNTAX_NOT_SUPPORTED,
    ACCEPTED,
    APPLICATION_CONTEXT,
    TRANSFER_SYNTAXES_NOT_SUPPORTED,
    negotiate,
)
from gateway.dimse.pdu import AssociateRequest, ProposedContext

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"


def _result(abstract_syntax: str, *transfer_syntaxes: str) -> tuple[int, str]:
    context = ProposedContext(1, abstract_syntax, transfer_syntaxes)
    request = AssociateRequest(1, "CALLED", "CALLING", APPLICATION_CONTEXT, (context,), 16384)
    [answer] = negotiate(request)
    return answer.result, answer.transfer_syntax


@pytest.mark.parametrize(
    ("abstract_syntax", "result"),
    [
        ("1.2.840.10008.1.1", ACCEPTED),  # Verification
        ("1.2.840.10008.5.1.4.1.1.2", ACCEPTED),  # CT Image Storage
        ("1.2.840.10008.5.1.4.1.1.9999.1", ACCEPTED),  # newer than the dictionary
        ("1.2.840.10008.5.1.4.1.1.200.4", ABSTRACT_SYNTAX_NOT_SUPPORTED),  # Protocol Approval FIND
        ("1.2.840.10008.5.1.4.1.2.2.1", ABSTRACT_SYNTAX_NOT_SUPPORTED),  # Study Root FIND
        ("not a uid", ABSTRACT_SYNTAX_NOT_SUPPORTED),
    ],
)
def test_storage_and_verification_are_taken_and_nothing_else(
    abstract_syntax: str, result: int
) -> None:
    assert _result(abstract_syntax, EXPLICIT)[0] == result


def test_a_syntax_that_keeps_vrs_is_preferred() -> None:
    assert _result("1.2.840.10008.5.1.4.1.1.2", IMPLICIT, EXPLICIT) == (ACCEPTED, EXPLICIT)


def test_a_context_without_a_known_transfer_syntax_is_refused() -> None:
    assert _result("1.2.840.10008.5.1.4.1.1.2", "1.2.3")[0] == TRANSFER_SYNTAXES_NOT_SUPPORTED
