"""How an association can end other than by release."""

from __future__ import annotations


class PeerGoneError(Exception):
    """The peer closed or reset the connection, or sent A-ABORT."""


class PeerSilentError(Exception):
    """The peer did not send in time what it owed."""


class ReleasedError(Exception):
    """The peer asked for the release of the association."""


class ProtocolError(Exception):
    """The peer broke a rule of the upper layer or of the message exchange.

    Args:
        rule: Upper-case name of the rule, for the log.
        reason: Reason/Diag. of the A-ABORT that answers it (PS3.8 section 9.3.8).
    """

    def __init__(self, rule: str, reason: int = 0) -> None:
        super().__init__(rule)
        self.rule = rule
        self.reason = reason


class NotDicomPeerError(Exception):
    """No A-ASSOCIATE-RQ came in time, or something else: a browser, a TLS client, a scanner."""
