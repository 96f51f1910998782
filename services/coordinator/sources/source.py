"""A source and how it stands, without transport or database."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

_OVERDUE_AFTER: Final = timedelta(minutes=2)


class Kind(Enum):
    """What a source is."""

    WATCH_FOLDER = "watch_folder"
    ORTHANC = "orthanc"
    QIDO = "qido"
    DIMSE = "dimse"


class Health(Enum):
    """How a source does."""

    NEW = "new"
    GOOD = "good"
    FAILING = "failing"
    OVERDUE = "overdue"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a source is looked at: after an interval, or at times of each day.

    Attributes:
        interval_s: Seconds after the last turn ended; zero when there are times.
        times: "HH:MM".
        time_zone: IANA name; empty means UTC.
    """

    interval_s: int = 0
    times: tuple[str, ...] = ()
    time_zone: str = ""


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """What is registered of a source; what its kind does not know stays at its default.

    Attributes:
        name: Name that people use.
        kind: What it is.
        schedule: When it is looked at.
        peer_id: The peer, but for a folder.
        path: The folder.
        settle_s: Time without change after which a file is taken, in seconds.
        delete_stored: Whether stored files are deleted.
        rest_path: Path of Orthanc's REST API.
        reconcile_every_h: Hours after which all is looked at again; zero for never.
        modalities: Which studies of a peer that is queried.
        days_back: Of how many days.
        use_get: Whether C-GET fetches them.
    """

    name: str
    kind: Kind
    schedule: Schedule
    peer_id: str = ""
    path: str = ""
    settle_s: int = 0
    delete_stored: bool = False
    rest_path: str = ""
    reconcile_every_h: int = 0
    modalities: tuple[str, ...] = ()
    days_back: int = 0
    use_get: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """What a source brought, in studies and instances."""

    studies: int = 0
    stored: int = 0
    known: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a source stands, as ``SourceState`` of the contract."""

    paused: bool
    running: bool
    last_run_time: datetime | None
    last_success_time: datetime | None
    next_run_time: datetime
    failure: str
    failures: int
    last: Counts
    total: Counts
    progress: str

    def health(self, now: datetime) -> Health:
        """Return how it does at a time, UTC."""
        if self.paused:
            return Health.PAUSED
        if not self.running and self.next_run_time < now - _OVERDUE_AFTER:
            return Health.OVERDUE
        if self.failures:
            return Health.FAILING
        return Health.GOOD if self.last_success_time is not None else Health.NEW


@dataclass(frozen=True, slots=True)
class Source:
    """A registered source."""

    source_id: str
    spec: SourceSpec
    state: SourceState
    create_time: datetime
    update_time: datetime
    read_time: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to work on a source.

    Attributes:
        turn_id: Our id of it.
        source: The source.
        cursor: Where the last turn stopped.
        reconcile: Whether everything is looked at again.
        noticed_orthanc_ids: What a webhook told of.
    """

    turn_id: str
    source: Source
    cursor: str
    reconcile: bool
    noticed_orthanc_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a turn is; a cursor of None stays where it was."""

    cursor: str | None = None
    counts: Counts = field(default_factory=Counts)
    text: str = ""
    done_orthanc_ids: tuple[str, ...] = ()
