"""A Modality Worklist identifier: what must match and what is wanted (PS3.4 K.6.1.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydicom.datadict import keyword_for_tag

from gateway.procedure_steps.tree import Tree, element_values
from gateway.procedure_steps.worklist_answer import EVERY_ATTRIBUTE, SCHEDULED_STEP_SEQUENCE
from gateway.query_retrieve.identifier import SPECIFIC_CHARACTER_SET, Key
from gateway.query_retrieve.matching import Condition, MatchingError, condition
from gateway.query_retrieve.query import IdentifierError
from services.dicom.encoding import dictionary_vr
from services.dicom.json import JsonObject

MATCHED: Final = frozenset(
    {
        "AccessionNumber",
        "IssuerOfPatientID",
        "Modality",
        "PatientBirthDate",
        "PatientID",
        "PatientName",
        "PatientSex",
        "ReferringPhysicianName",
        "RequestedProcedureDescription",
        "RequestedProcedureID",
        "RequestedProcedurePriority",
        "ScheduledPerformingPhysicianName",
        "ScheduledProcedureStepDescription",
        "ScheduledProcedureStepID",
        "ScheduledProcedureStepLocation",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime",
        "ScheduledProcedureStepStatus",
        "ScheduledStationAETitle",
        "ScheduledStationName",
        "StudyInstanceUID",
    }
)
"""Keywords of the matching keys, at the top and in the scheduled step."""


@dataclass(frozen=True, slots=True)
class WorklistQuery:
    """What a worklist C-FIND asks.

    Attributes:
        conditions: What must match, by keyword.
        wanted: Attributes that answers hold.
        is_whole: Whether every key is known and, where it has a value, matched.
    """

    conditions: Mapping[str, Condition]
    wanted: Tree
    is_whole: bool


def read_worklist_query(identifier: JsonObject) -> WorklistQuery:
    """Return what an identifier asks.

    Raises:
        IdentifierError: A key cannot be matched, or there is more than one scheduled step.
    """
    conditions: dict[str, Condition] = {}
    whole = True
    for path, tag, element in _keys(identifier):
        asked = _condition(tag, element)
        keyword = keyword_for_tag(tag)
        if keyword in MATCHED and _known(path, tag):
            if asked is not None:
                conditions[keyword] = asked
        else:
            whole = whole and asked is None and _known(path, tag)
    return WorklistQuery(conditions, _wanted(identifier), whole)


def _keys(identifier: JsonObject) -> Iterator[tuple[tuple[int, ...], int, JsonObject]]:
    """Give every key that is no sequence: the sequences around it, its tag and element."""
    for tag, element in _elements(identifier):
        if element.get("vr") != "SQ":
            yield (), tag, element
            continue
        inner = _one_item(element)
        if inner is None:
            yield (), tag, {}
        else:
            yield from (((tag,), one, found) for one, found in _elements(inner))


def _one_item(element: JsonObject) -> JsonObject | None:
    items: list[Any] = element.get("Value", [])
    if len(items) > 1:
        # Sequence matching takes one item (PS3.4 C.2.2.2.6).
        raise IdentifierError("a sequence with several items")
    return items[0] if items and isinstance(items[0], dict) else None


def _elements(item: JsonObject) -> Iterator[tuple[int, JsonObject]]:
    for name, element in item.items():
        tag = int(name, 16)
        if tag != SPECIFIC_CHARACTER_SET:
            yield tag, element


def _condition(tag: int, element: JsonObject) -> Condition | None:
    vr = dictionary_vr(tag).partition(" ")[0]
    try:
        return condition(Key(tag, vr, element_values(element)), vr)
    except MatchingError as error:
        raise IdentifierError(f"{keyword_for_tag(tag) or 'a key'}: {error.rule}") from None


def _known(path: tuple[int, ...], tag: int) -> bool:
    level: Any = EVERY_ATTRIBUTE
    for sequence in path:
        level = next(iter(level.get(sequence, ())), {})
    return tag in level and path in ((), (SCHEDULED_STEP_SEQUENCE,))


def _wanted(identifier: JsonObject) -> Tree:
    wanted: dict[int, str | list[Tree]] = {}
    for tag, element in _elements(identifier):
        if element.get("vr") != "SQ":
            wanted[tag] = ""
            continue
        inner = _one_item(element)
        wanted[tag] = [] if inner is None else [_wanted(inner)]
    return wanted
