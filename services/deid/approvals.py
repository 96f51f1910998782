"""What a person has looked at and lets through, and what nobody can."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from services.deid.errors import DeidRefusedError

NEVER: Final = frozenset({"IDENTIFIER_FOUND", "OCR_UNAVAILABLE"})
"""Codes that no approval lets through: what was found is known to identify, or nothing looked."""


class Approvals:
    """Decides of each finding whether it stops an object.

    Args:
        codes: Codes of findings that a person approved for this object.
        looking: Whether nothing stops it, because the result is looked at and not released.

    Attributes:
        findings: What was found, approved findings too, in the order in which it was.
    """

    def __init__(self, codes: Collection[str] = (), *, looking: bool = False) -> None:
        self._codes = frozenset(codes) - NEVER
        self._looking = looking
        self.findings: list[DeidRefusedError] = []

    def judge(self, finding: DeidRefusedError) -> None:
        """Take note of a finding.

        Raises:
            DeidRefusedError: The finding itself, unless it is approved.
        """
        self.findings.append(finding)
        if not self._looking and finding.code not in self._codes:
            raise finding

    @contextmanager
    def judged(self) -> Iterator[None]:
        """Judge what is raised within; use it where an object can be treated further."""
        try:
            yield
        except DeidRefusedError as finding:
            self.judge(finding)
