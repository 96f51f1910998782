"""An audit trail in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.runtime.audit import AuditEntry, AuditOutcome


@dataclass(slots=True)
class ListTrail:
    """Keeps what it is given, in order; breaks on demand."""

    entries: list[AuditEntry] = field(default_factory=list)
    denials: list[tuple[AuditEntry, AuditOutcome]] = field(default_factory=list)
    outcomes: dict[str, AuditOutcome] = field(default_factory=dict)
    broken: bool = False

    async def begin(self, entry: AuditEntry) -> None:
        self._check()
        self.entries.append(entry)

    async def deny(self, entry: AuditEntry, outcome: AuditOutcome) -> None:
        self._check()
        self.denials.append((entry, outcome))

    async def end(self, entry_id: str, outcome: AuditOutcome) -> None:
        self._check()
        self.outcomes.setdefault(entry_id, outcome)

    def _check(self) -> None:
        if self.broken:
            raise OSError("the trail is broken")
