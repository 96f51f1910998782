"""A query, and the statements that find the ids of what it matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.coordinator.archive.keys import Level
from services.coordinator.archive.matching import Match
from services.coordinator.archive.terms import Term, numbered


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for.

    Attributes:
        fuzzy_names: Whether names match by the beginnings of any of their words.
        limit: At most this many; zero means all.
        offset: How many to leave out first.
    """

    level: Level
    matches: Sequence[Match] = ()
    fuzzy_names: bool = False
    limit: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class _Shape:
    """How ids of a level are read: the latest study first, what is below in order of arrival."""

    source: str
    id_column: str
    direction: str
    beyond: str


_STUDIES: Final = "archive.study AS s"
# Joins that no condition needs are left out by the planner: the columns joined on are unique.
_SERIES: Final = "archive.series AS e LEFT JOIN archive.study AS s ON s.study_id = e.study_id"
_INSTANCES: Final = (
    "archive.instance AS i LEFT JOIN archive.series AS e ON e.series_id = i.series_id "
    "LEFT JOIN archive.study AS s ON s.study_id = i.study_id"
)
_LOCATED: Final = (
    "i.instance_id, i.series_id, i.study_id, s.study_instance_uid, e.series_instance_uid, "
    "i.sop_instance_uid, i.sop_class_uid, i.transfer_syntax_uid, i.number_of_frames, i.sha256, "
    "i.size_bytes, CASE WHEN i.transfer_syntax_uid IS NULL THEN i.attributes END AS attributes"
)
_SHAPES: Final[Mapping[Level, _Shape]] = {
    Level.PATIENT: _Shape("archive.patient AS p", "p.patient_id", "DESC", "<"),
    Level.STUDY: _Shape(_STUDIES, "s.study_id", "DESC", "<"),
    Level.SERIES: _Shape(_SERIES, "e.series_id", "ASC", ">"),
    Level.INSTANCE: _Shape(_INSTANCES, "i.instance_id", "ASC", ">"),
}


def descending(level: Level) -> bool:
    """Tell whether ids of a level come the latest first."""
    return _SHAPES[level].direction == "DESC"


def any_statement(level: Level, terms: Sequence[Term], most: int) -> tuple[str, list[object]]:
    """Return the statement that finds some ids in any order.

    At patient level they are ids of the patients as sent, some more than once.
    """
    shape = _SHAPES[level]
    source, column = shape.source, shape.id_column
    if level is Level.PATIENT:
        source, column = _STUDIES, "s.patient_id"
    where, parameters = numbered([*terms, Term("true")])
    parameters.append(most)
    statement = f"SELECT {column} FROM {source} WHERE {where} LIMIT ${len(parameters)}"  # noqa: S608 - fixed fragments only
    return statement, parameters


def page_statement(
    level: Level, terms: Sequence[Term], after: object | None, most: int, offset: int
) -> tuple[str, list[object]]:
    """Return the statement that finds the ids that follow one of them, in order."""
    shape = _SHAPES[level]
    conditions = [_of_patient(terms)] if level is Level.PATIENT else list(terms)
    if after is not None:
        conditions.append(Term(f"{shape.id_column} {shape.beyond} $?::uuid", (after,)))
    where, parameters = numbered(conditions)
    parameters += [most, offset]
    statement = (
        f"SELECT {shape.id_column} FROM {shape.source} WHERE {where} "  # noqa: S608 - fixed fragments only
        f"ORDER BY {shape.id_column} {shape.direction} "
        f"LIMIT ${len(parameters) - 1} OFFSET ${len(parameters)}"
    )
    return statement, parameters


def series_statement(terms: Sequence[Term], most: int) -> tuple[str, list[object]]:
    """Return the statement that finds series by study, then by series number."""
    where, parameters = numbered(terms)
    parameters.append(most)
    statement = (
        f"SELECT e.series_id, e.instance_count FROM {_SERIES} WHERE {where} "  # noqa: S608 - fixed fragments only
        f"ORDER BY e.study_id, e.series_number, e.series_id LIMIT ${len(parameters)}"
    )
    return statement, parameters


def located_statement(terms: Sequence[Term]) -> tuple[str, list[object]]:
    """Return the statement that locates instances by conditions that name them one by one."""
    where, parameters = numbered(terms)
    statement = (
        f"SELECT {_LOCATED} FROM {_INSTANCES} WHERE {where} "  # noqa: S608 - fixed fragments only
        "ORDER BY i.study_id, e.series_number, i.series_id, i.instance_number, i.instance_id"
    )
    return statement, parameters


def _of_patient(terms: Sequence[Term]) -> Term:
    conditions = " AND ".join(term.text for term in terms) or "true"
    text = (
        "p.surviving_id IS NULL AND EXISTS (SELECT FROM archive.patient AS q "
        "JOIN archive.study AS s ON s.patient_id = q.patient_id "
        f"WHERE coalesce(q.surviving_id, q.patient_id) = p.patient_id AND {conditions})"
    )
    return Term(text, tuple(value for term in terms for value in term.parameters))
