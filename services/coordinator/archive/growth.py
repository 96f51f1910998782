"""How a batch of new instances changes its studies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from services.coordinator.archive.arrival import Arrival
from services.coordinator.archive.study import StudyState
from services.coordinator.events.event import EventDraft, EventType

_RECEIVING: Final = "STUDY_STATE_RECEIVING"
# CS has at most 16 characters (PS3.5 section 6.2); a longer one must still fit an index.
_MAX_MODALITY: Final = 64


@dataclass(frozen=True, slots=True)
class LockedStudy:
    """A study that the transaction holds, as it was before.

    Attributes:
        tell_growth: Whether the last event about growth is long enough ago for another one.
        created: Whether this transaction made it.
        patient: Its Patient ID and issuer.
        mismatched: Whether instances of another patient came before.
    """

    study_id: str
    state: str
    generation: int
    modalities: frozenset[str]
    tell_growth: bool
    created: bool
    patient: tuple[str, str] = ("", "")
    mismatched: bool = False

    @classmethod
    def fresh(cls, study_id: str, patient: tuple[str, str]) -> LockedStudy:
        """Return a study as it is before its first instance."""
        return cls(study_id, StudyState.RECEIVING, 1, frozenset(), False, True, patient)


@dataclass(slots=True)
class Growth:
    """What comes to one study.

    Attributes:
        new_series: How many of its series are new; counted while they are written.
        mismatches: How many of its instances name another patient than the study.
    """

    study: LockedStudy
    correlation_id: str
    instances: int = 0
    new_series: int = 0
    mismatches: int = 0
    modalities: set[str] = field(default_factory=set)

    @property
    def opened(self) -> bool:
        """Whether the instances come late and open a generation."""
        return self.study.state != StudyState.RECEIVING

    @property
    def generation(self) -> int:
        """Generation in which the instances come."""
        return self.study.generation + self.opened

    @property
    def told(self) -> bool:
        """Whether an event says that the study exists or grew."""
        return self.study.created or self.opened or self.study.tell_growth


def study_growth(new: Iterable[Arrival], studies: Mapping[str, LockedStudy]) -> dict[str, Growth]:
    """Return what comes to each study, by Study Instance UID."""
    growths: dict[str, Growth] = {}
    for arrival in new:
        uid = arrival.study.study_instance_uid
        growth = growths.setdefault(uid, Growth(studies[uid], arrival.correlation_id))
        growth.instances += 1
        growth.mismatches += arrival.study.patient != growth.study.patient
        if arrival.series.modality:
            growth.modalities.add(arrival.series.modality[:_MAX_MODALITY])
    return growths


def growth_events(growth: Growth) -> list[EventDraft]:
    """Return the events of a study's growth: at most one a second while instances flow."""
    return [
        EventDraft(
            event_type,
            growth.study.study_id,
            state=_RECEIVING,
            generation=growth.generation,
            correlation_id=growth.correlation_id,
        )
        for event_type in _types(growth)
    ]


def _types(growth: Growth) -> list[EventType]:
    types = []
    if growth.study.created:
        types = [EventType.STUDY_CREATED]
    elif growth.opened:
        types = [
            EventType.GENERATION_OPENED,
            EventType.STUDY_STATE_CHANGED,
            EventType.STUDY_GREW,
        ]
    elif growth.told:
        types = [EventType.STUDY_GREW]
    if growth.mismatches and not growth.study.mismatched:
        types.append(EventType.PATIENT_MISMATCH)
    return types
