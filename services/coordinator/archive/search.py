"""The statement that finds studies: fixed text, every value a bound parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.coordinator.archive.study import StudyKey, StudyOrder, StudyState
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
    "FROM archive.patient AS q WHERE q.patient_id = {}::uuid))"
)
_ORDERS: Final = {
    StudyOrder.RECEIVED_DESCENDING: ("first_receive_time", "<", "DESC"),
    StudyOrder.RECEIVED_ASCENDING: ("first_receive_time", ">", "ASC"),
    StudyOrder.STUDY_DATE_DESCENDING: ("study_day", "<", "DESC"),
}


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


def search_statement(
    wanted: StudyFilter, limit: int, after: StudyKey | None
) -> tuple[str, list[object]]:
    """Return the statement and its parameters."""
    column, beyond, direction = _ORDERS[wanted.order]
    conditions = _conditions(wanted)
    if after is not None:
        place = f"({column}, study_id) {beyond} ({{}}, {{}})"
        conditions.append((place, (after.place, after.study_id)))
    parameters: list[object] = []
    texts: list[str] = []
    for text, values in conditions:
        numbers = [f"${len(parameters) + n}" for n in range(1, len(values) + 1)]
        texts.append(text.format(*numbers))
        parameters.extend(values)
    where = f"WHERE {' AND '.join(texts)} " if texts else ""
    parameters.append(limit)
    statement = (
        f"SELECT {_COLUMNS} FROM archive.study {where}"  # noqa: S608 - fixed fragments only
        f"ORDER BY {column} {direction}, study_id {direction} LIMIT ${len(parameters)}"
    )
    return statement, parameters


def _conditions(wanted: StudyFilter) -> list[tuple[str, tuple[object, ...]]]:
    words = sought_words(wanted.text)
    # The indexes hold beginnings: a value of any length must fit a page.
    beginning = "left({0}, 64) = left({{0}}::text, 64) AND {0} = {{0}}::text"
    every = [
        (wanted.state, "state = {}", wanted.state and wanted.state.value),
        (wanted.study_instance_uid, "study_instance_uid = {}", wanted.study_instance_uid),
        (wanted.patient_key, _SAME_PATIENT, wanted.patient_key),
        (wanted.patient_id_text, beginning.format("patient_id_text"), wanted.patient_id_text),
        (wanted.accession_number, beginning.format("accession_number"), wanted.accession_number),
        (wanted.modality, "modalities @> ARRAY[{}::text]", wanted.modality),
        (words, "search @@ {}::text::tsquery", prefix_query(words)),
        (wanted.day_from, "study_day >= {}", wanted.day_from),
        (wanted.day_to, "study_day <> '' AND study_day <= {}", wanted.day_to),
    ]
    return [(text, (value,)) for present, text, value in every if present]
