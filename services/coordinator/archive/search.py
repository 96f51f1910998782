"""The statements that list studies: fixed text, every value a bound parameter.

A filter and an order that one index serves take one statement. For the rest no plan is good for
every value: whether a word is rare or common, and whether it stands in the latest studies or in
old ones, is not known before. So there are several statements, each of bounded cost, tried in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.coordinator.archive.study import StudyKey, StudyOrder, StudyState
from services.coordinator.archive.terms import Term, numbered
from services.coordinator.archive.words import prefix_query, sought_words

_COLUMNS: Final = (
    "study_id, study_instance_uid, patient_id, patient_id_text, issuer_of_patient_id, "
    "patient_name, patient_birth_date, patient_sex, study_date, study_day, study_time, "
    "accession_number, study_id_text, study_description, referring_physician_name, modalities, "
    "series_count, instance_count, conflict_count, patient_mismatch_count, state, evidence, "
    "generation, priority, first_receive_time, last_receive_time"
)
_SAME_PATIENT: Final = (
    "patient_id IN (SELECT p.patient_id FROM archive.patient AS p "
    "WHERE coalesce(p.surviving_id, p.patient_id) = (SELECT coalesce(q.surviving_id, q.patient_id) "
    "FROM archive.patient AS q WHERE q.patient_id = $?::uuid))"
)
# The indexes hold beginnings: a value of any length must fit a page.
_BEGINNING: Final = "left({0}, 64) = left($?::text, 64) AND {0} = $?::text"
_ORDERS: Final = {
    StudyOrder.RECEIVED_DESCENDING: ("first_receive_time", "<", "DESC"),
    StudyOrder.RECEIVED_ASCENDING: ("first_receive_time", ">", "ASC"),
    StudyOrder.STUDY_DATE_DESCENDING: ("study_day", "<", "DESC"),
}
# Steps from day to day down the index, and takes the latest of each.
_DAYS_RECEIVED: Final = """
WITH RECURSIVE days AS (
    (SELECT study_day, first_receive_time FROM archive.study
     WHERE study_day <= $2::text AND study_day >= $1::text
     ORDER BY study_day DESC, first_receive_time DESC LIMIT 1)
    UNION ALL
    SELECT earlier.study_day, earlier.first_receive_time FROM days
    CROSS JOIN LATERAL (
        SELECT study_day, first_receive_time FROM archive.study
        WHERE study_day < days.study_day AND study_day >= $1::text
        ORDER BY study_day DESC, first_receive_time DESC LIMIT 1
    ) AS earlier
)
SELECT max(first_receive_time), count(*)
FROM (SELECT first_receive_time FROM days LIMIT $3::integer) AS looked_at
"""
_LAST_ID: Final = "ffffffff-ffff-ffff-ffff-ffffffffffff"

Statement = tuple[str, list[object]]


@dataclass(frozen=True, slots=True)
class StudyFilter:
    """Which studies are wanted, and in which order. Empty and None stand for any.

    Attributes:
        patient_key: Our id of a patient, for its studies and of those merged with it.
        text: Words, each sought at the beginning of a word.
        day_from: First Study Date, YYYYMMDD.
        day_to: Last Study Date, YYYYMMDD.
    """

    state: StudyState | None = None
    study_instance_uid: str = ""
    patient_key: str = ""
    patient_id_text: str = ""
    accession_number: str = ""
    modality: str = ""
    text: str = ""
    day_from: str = ""
    day_to: str = ""
    order: StudyOrder = StudyOrder.RECEIVED_DESCENDING


class StudyList:
    """The statements of one filter.

    Attributes:
        terms: All conditions.
        pointed: Those that leave few studies, whatever the values.
        aligned: Conditions that the index of the order serves too.
        other: The rest.
    """

    def __init__(self, wanted: StudyFilter) -> None:
        self._wanted = wanted
        self._column, self._beyond, self._direction = _ORDERS[wanted.order]
        self.pointed = _pointed(wanted)
        by_day = wanted.order is StudyOrder.STUDY_DATE_DESCENDING
        state, days, rest = _state(wanted), _days(wanted), _rest(wanted)
        self.aligned = days if by_day else state
        self.other = [*(state if by_day else days), *rest]
        self.terms = [*self.pointed, *self.aligned, *self.other]

    def ordered(self, limit: int, after: StudyKey | None) -> Statement:
        """Return the statement that reads in order until enough match."""
        where, parameters = numbered([*self.terms, *self._after(after)])
        parameters.append(limit)
        text = f"SELECT {_COLUMNS} FROM archive.study WHERE {where} {self._order(len(parameters))}"  # noqa: S608 - fixed fragments only
        return text, parameters

    def within(self, most: int, limit: int, after: StudyKey | None) -> Statement:
        """Return the statement that looks through some rows in order, and no more."""
        inner, parameters = numbered([*self.aligned, *self._after(after)])
        parameters.append(most)
        window = (
            f"SELECT {_COLUMNS}, search FROM archive.study WHERE {inner} "  # noqa: S608 - fixed fragments only
            f"{self._order(len(parameters))}"
        )
        where, more = numbered(self.other, len(parameters))
        parameters += [*more, limit]
        text = (
            f"SELECT {_COLUMNS} FROM ({window}) AS s WHERE {where} {self._order(len(parameters))}"  # noqa: S608 - fixed fragments only
        )
        return text, parameters

    def among(
        self, sought: Sequence[Term], most: int, limit: int, after: StudyKey | None
    ) -> Statement:
        """Return the statement that finds what matches, if it is not much, and then orders it.

        Each row says in ``matching`` how many match; more than ``most``: the rows mean nothing.

        Args:
            sought: Conditions that an index is read for; rows decide on the others.
            most: How many may match.
            limit: At most this many rows.
            after: The study after which the page begins.
        """
        others = [t for t in self.terms if t not in sought] + self._after(after)
        where, parameters = numbered([*sought, *map(_by_row, others)])
        parameters += [most + 1, limit]
        text = (
            f"WITH found AS MATERIALIZED (SELECT study_id, {self._column} FROM archive.study "  # noqa: S608 - fixed fragments only
            f"WHERE {where} LIMIT ${len(parameters) - 1}), "
            f"top AS (SELECT study_id FROM found {self._order(len(parameters))}) "
            f"SELECT {_COLUMNS}, (SELECT count(*) FROM found) AS matching "
            f"FROM archive.study WHERE study_id = ANY (ARRAY(SELECT study_id FROM top)) "
            f"ORDER BY {self._column} {self._direction}, study_id {self._direction}"
        )
        return text, parameters

    def estimates(self) -> Statement:
        """Return the statement whose plan tells how many rows match each condition by itself.

        The last part of the plan tells how many there are at all.
        """
        texts: list[str] = []
        parameters: list[object] = []
        for term in self.terms:
            where, more = numbered([term], len(parameters))
            texts.append(f"SELECT FROM archive.study WHERE {where}")
            parameters += more
        texts.append("SELECT FROM archive.study")
        return f"EXPLAIN (FORMAT JSON) {' UNION ALL '.join(texts)}", parameters

    def bound(self, most_days: int) -> Statement | None:
        """Return the statement that tells when the latest study of the days came.

        It gives that time and how many days were looked at, each by a step down an index; None
        where no days are asked for, or the order is another.
        """
        wanted = self._wanted
        if wanted.order is not StudyOrder.RECEIVED_DESCENDING:
            return None
        if not (wanted.day_from or wanted.day_to):
            return None
        return _DAYS_RECEIVED, [wanted.day_from or "0", wanted.day_to or ":", most_days]

    def begin(self, at: datetime, after: StudyKey | None) -> StudyKey:
        """Return where to begin when no study came after a time: there, or at the page's place."""
        if after is not None and isinstance(after.place, datetime) and after.place < at:
            return after
        return StudyKey(at, _LAST_ID)

    def _after(self, after: StudyKey | None) -> list[Term]:
        if after is None:
            return []
        place = f"({self._column}, study_id) {self._beyond} ($?, $?)"
        return [Term(place, (after.place, after.study_id))]

    def _order(self, place: int) -> str:
        direction = self._direction
        return f"ORDER BY {self._column} {direction}, study_id {direction} LIMIT ${place}"


def _by_row(term: Term) -> Term:
    # No index serves a comparison of a condition's outcome.
    return Term(f"({term.text}) IS TRUE", term.parameters)


def _pointed(wanted: StudyFilter) -> list[Term]:
    terms = []
    if wanted.study_instance_uid:
        terms.append(Term("study_instance_uid = $?", (wanted.study_instance_uid,)))
    if wanted.patient_key:
        terms.append(Term(_SAME_PATIENT, (wanted.patient_key,)))
    values = {
        "patient_id_text": wanted.patient_id_text,
        "accession_number": wanted.accession_number,
    }
    terms += [Term(_BEGINNING.format(c), (value, value)) for c, value in values.items() if value]
    return terms


def _state(wanted: StudyFilter) -> list[Term]:
    return [Term("state = $?", (wanted.state.value,))] if wanted.state else []


def _days(wanted: StudyFilter) -> list[Term]:
    if wanted.day_from and wanted.day_to:
        return [Term("study_day BETWEEN $? AND $?", (wanted.day_from, wanted.day_to))]
    if wanted.day_from:
        return [Term("study_day >= $?", (wanted.day_from,))]
    if wanted.day_to:
        return [Term("study_day > '' AND study_day <= $?", (wanted.day_to,))]
    return []


def _rest(wanted: StudyFilter) -> list[Term]:
    terms = [
        Term("search @@ $?::text::tsquery", (prefix_query([word]),))
        for word in dict.fromkeys(sought_words(wanted.text))
    ]
    if wanted.modality:
        terms.append(Term("modalities @> ARRAY[$?::text]", (wanted.modality,)))
    return terms
