-- name: study_by_id
SELECT study_id, study_instance_uid, patient_id_text, issuer_of_patient_id, patient_name,
       patient_birth_date, patient_sex, study_date, study_day, study_time, accession_number,
       study_id_text, study_description, referring_physician_name, modalities, series_count,
       instance_count, conflict_count, state, evidence, generation, priority,
       first_receive_time, last_receive_time
FROM archive.study WHERE study_id = $1;

-- name: study_by_uid
SELECT study_id, study_instance_uid, patient_id_text, issuer_of_patient_id, patient_name,
       patient_birth_date, patient_sex, study_date, study_day, study_time, accession_number,
       study_id_text, study_description, referring_physician_name, modalities, series_count,
       instance_count, conflict_count, state, evidence, generation, priority,
       first_receive_time, last_receive_time
FROM archive.study WHERE study_instance_uid = $1;

-- name: lock_study
SELECT generation, state FROM archive.study WHERE study_id = $1 FOR UPDATE;

-- name: set_study_state
UPDATE archive.study SET state = $2, evidence = coalesce($3, evidence)
WHERE study_id = $1 AND state <> $2
RETURNING generation;

-- name: receiving_studies_ready_to_judge
SELECT s.study_id, s.generation,
       CASE WHEN a.all_released THEN 'released' ELSE 'quiet' END AS evidence
FROM archive.study AS s
CROSS JOIN LATERAL (
    SELECT coalesce(bool_and(NOT b.open AND b.released), false) AS all_released
    FROM archive.association AS b
    WHERE b.study_id = s.study_id AND b.generation = s.generation
) AS a
WHERE s.state = 'receiving'
  AND s.last_receive_time <= now() - least($1::interval, $2::interval)
  AND (s.last_receive_time <= now() - $1::interval
       OR (a.all_released AND s.last_receive_time <= now() - $2::interval))
ORDER BY s.last_receive_time
LIMIT $3
FOR UPDATE OF s SKIP LOCKED;

-- name: series_of_study
SELECT series_id, study_id, series_instance_uid, modality, series_description, series_number,
       body_part_examined, instance_count, last_generation
FROM archive.series WHERE study_id = $1
ORDER BY series_number NULLS LAST, series_id;

-- name: series_exists
SELECT true FROM archive.series WHERE series_id = $1;

-- name: instances_of_series
SELECT instance_id, series_id, study_id, sha256, size_bytes, attributes, generation,
       instance_number, receive_time
FROM archive.instance WHERE series_id = $1
ORDER BY instance_number, instance_id;

-- name: instances_page
SELECT instance_id, series_id, study_id, sha256, size_bytes, attributes, generation,
       instance_number, receive_time
FROM archive.instance WHERE series_id = $1
ORDER BY instance_number, instance_id
LIMIT $2;

-- name: instances_page_after_number
SELECT instance_id, series_id, study_id, sha256, size_bytes, attributes, generation,
       instance_number, receive_time
FROM archive.instance
WHERE series_id = $1 AND ((instance_number, instance_id) > ($3, $4) OR instance_number IS NULL)
ORDER BY instance_number, instance_id
LIMIT $2;

-- name: instances_page_after_unnumbered
SELECT instance_id, series_id, study_id, sha256, size_bytes, attributes, generation,
       instance_number, receive_time
FROM archive.instance
WHERE series_id = $1 AND instance_number IS NULL AND instance_id > $3
ORDER BY instance_id
LIMIT $2;

-- name: instance_by_id
SELECT instance_id, series_id, study_id, sha256, size_bytes, attributes, generation,
       instance_number, receive_time
FROM archive.instance WHERE instance_id = $1;
