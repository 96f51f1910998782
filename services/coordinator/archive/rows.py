"""Values of the index as parameters of its statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.coordinator.archive.arrival import Arrival, Held, StudyAttributes
from services.coordinator.archive.growth import Growth
from services.runtime.ids import new_id


def columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    """Return rows of equal length as columns."""
    return [list(column) for column in zip(*rows, strict=True)]


def study_row(study_id: str, study: StudyAttributes) -> tuple[object, ...]:
    """Return the parameters of ``add_studies`` for one study."""
    return (
        study_id,
        study.study_instance_uid,
        study.patient_key,
        study.patient_id_text,
        study.issuer_of_patient_id,
        study.patient_name,
        study.patient_birth_date,
        study.patient_sex,
        study.study_date,
        study.study_day,
        study.study_time,
        study.accession_number,
        study.study_id_text,
        study.study_description,
        study.referring_physician_name,
        "\n".join(study.words),
        study.patient_name_key,
        study.referring_physician_name_key,
    )


def series_row(arrival: Arrival, growth: Growth, count: int) -> tuple[object, ...]:
    """Return the parameters of ``add_to_series`` for the series of an arrival."""
    series = arrival.series
    return (
        new_id(),
        growth.study.study_id,
        series.series_instance_uid,
        series.modality,
        series.series_description,
        series.series_number,
        series.body_part_examined,
        count,
        growth.generation,
        series.protocol_name,
        series.station_name,
        series.series_date,
        series.series_time,
        series.step_start_date,
        series.step_start_time,
    )


def held_by(arrival: Arrival, growth: Growth, series: Mapping[tuple[str, str], str]) -> Held:
    """Return an arrival as the index will hold it; series by Study and Series Instance UID."""
    uid = arrival.study.study_instance_uid
    return Held(
        instance_id=arrival.instance_id,
        series_id=series[uid, arrival.series.series_instance_uid],
        study_id=growth.study.study_id,
        study_instance_uid=uid,
        sha256=arrival.sha256,
        generation=growth.generation,
    )


def instance_row(arrival: Arrival, held: Held) -> tuple[object, ...]:
    """Return the parameters of ``add_instances`` for one arrival."""
    return (
        arrival.instance_id,
        held.series_id,
        held.study_id,
        arrival.sop_instance_uid,
        arrival.sop_class_uid,
        arrival.sha256,
        arrival.size_bytes,
        held.generation,
        arrival.instance_number,
        arrival.attributes,
        arrival.association_id,
        arrival.receive_time,
        arrival.transfer_syntax_uid,
        arrival.number_of_frames,
    )


def conflict_row(arrival: Arrival, held: Held) -> tuple[object, ...]:
    """Return the parameters of ``add_conflicts`` for one arrival."""
    return (
        arrival.instance_id,
        held.instance_id,
        held.study_id,
        arrival.sha256,
        arrival.size_bytes,
        arrival.attributes,
        arrival.association_id,
        arrival.receive_time,
    )
