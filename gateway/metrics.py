"""What is counted and measured of the gateway's doors."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from prometheus_client import Counter, Gauge

from services.runtime.metrics import REGISTRY, from_zero
from services.runtime.metrics_endpoint import Gather

ASSOCIATIONS_OPEN: Final = Gauge(
    "heimdallr_associations_open", "Associations that are open.", registry=REGISTRY
)
ASSOCIATIONS: Final = Counter(
    "heimdallr_associations",
    "Connections of DICOM peers that ended, by outcome (released, rejected, aborted, gone, silent, "
    "not_dicom, stopped).",
    ["outcome"],
    registry=REGISTRY,
)
INSTANCES: Final = Counter(
    "heimdallr_instances_received",
    "Instances that peers sent, by outcome (stored, refused, failed).",
    ["outcome"],
    registry=REGISTRY,
)
INSTANCE_BYTES: Final = Counter(
    "heimdallr_instance_bytes", "Bytes of the instances that were stored.", registry=REGISTRY
)
JOURNAL_BYTES: Final = Gauge(
    "heimdallr_journal_bytes", "What the journal holds.", registry=REGISTRY
)
JOURNAL_LIMIT_BYTES: Final = Gauge(
    "heimdallr_journal_limit_bytes", "The most that the journal may hold.", registry=REGISTRY
)
JOURNAL_SECONDS: Final = Gauge(
    "heimdallr_journal_seconds", "Time since the journal was last empty.", registry=REGISTRY
)
ONLINE: Final = Gauge(
    "heimdallr_gateway_online",
    "Whether instances go straight to the coordinator (1) or to the journal (0).",
    registry=REGISTRY,
)

_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "RELEASED": "released",
        "GONE": "gone",
        "SILENT": "silent",
        "NOT_DICOM": "not_dicom",
        "STOPPED": "stopped",
        "REJECTED": "rejected",
    }
)
from_zero(ASSOCIATIONS, ("aborted", *_RULES.values()))
from_zero(INSTANCES, ("stored", "refused", "failed"))

_SUCCESS: Final = 0x0000
_OUT_OF_RESOURCES: Final = 0xA700
_REFUSED: Final = INSTANCES.labels("refused")
_OUTCOMES: Final = {
    _SUCCESS: INSTANCES.labels("stored"),
    _OUT_OF_RESOURCES: INSTANCES.labels("failed"),
}


class FilledJournal(Protocol):
    """The journal as it is looked at here."""

    @property
    def size_bytes(self) -> int:
        """What it holds."""
        ...

    @property
    def limit_bytes(self) -> int:
        """The most that it may hold."""
        ...

    @property
    def filled_s(self) -> float:
        """Time since it was last empty, in seconds."""
        ...


class Connected(Protocol):
    """The way to the coordinator as it is looked at here."""

    @property
    def is_online(self) -> bool:
        """Whether instances go straight to it."""
        ...


def count_association(rule: str) -> None:
    """Count a connection that ended; every other rule is one that the peer broke."""
    ASSOCIATIONS.labels(_RULES.get(rule, "aborted")).inc()


def count_instance(status: int) -> None:
    """Count an instance by the status that its sender got (PS3.4 Table B.2-1)."""
    _OUTCOMES.get(status, _REFUSED).inc()


def gateway_gather(journal: FilledJournal, intake: Connected) -> Gather:
    """Return what looks the journal up."""

    async def gather() -> None:
        JOURNAL_BYTES.set(journal.size_bytes)
        JOURNAL_LIMIT_BYTES.set(journal.limit_bytes)
        JOURNAL_SECONDS.set(journal.filled_s)
        ONLINE.set(intake.is_online)

    return gather
