-- study_by_id: a study by our id
SELECT study_id, study_instance_uid, patient_id_text, issuer_of_patient_id, patient_name,
       patient_birth_date, patient_sex, study_date, study_day, study_time, accession_number,
       study_id_text, study_description, referring_physician_name, modalities, series_count,
       instance_count, conflict_count, state, evidence, generation, priority,
       first_receive_time, last_receive_time
FROM archive.study WHERE study_id = $1;

-- study_by_uid: a study by its Study Instance UID
SELECT study_id, study_instance_uid, patient_id_text, issuer_of_patient_id, patient_name,
       patient_birth_date, patient_sex, study_date, study_day, study_time, accession_number,
       study_id_text, study_description, referring_physician_name, modalities, series_count,
       instance_count, conflict_count, state, evidence, generation, priority,
       first_receive_time, last_receive_time
FROM archive.study WHERE study_instance_uid = $1;

-- lock_study: hold a study until the transaction ends
SELECT generation, state FROM archive.study WHERE study_id = $1 FOR UPDATE;

-- set_study_state: change the state; no row when it is the same
UPDATE archive.study SET state = $2, evidence = coalesce($3, evidence)
WHERE study_id = $1 AND state <> $2
RETURNING generation;

-- receiving_studies_ready_to_judge: hold studies that may be called complete
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

-- series_of_study: series by series number
SELECT series_id, study_id, series_instance_uid, modality, series_description, series_number,
       body_part_examined, instance_count, last_generation
FROM archive.series WHERE study_id = $1
ORDER BY series_number NULLS LAST, series_id;

-- series_exists: whether a series is known
SELECT true FROM archive.series WHERE series_id = $1;

-- instances_of_series: instances of a series in order
SELECT instance_id, series_id, study_id, sha256, size_bytes, attributes, generation,
       instance_number, receive_time
FROM archive.instance WHERE series_id = $1
ORDER BY instance_number, instance_id;

-- instances_page: the first page of a series
SELECT instance_id, series_id, study_id, sha256, size_bytes, attributes, generation,
       instance_number, receive_time
FROM archive.instance WHERE series_id = $1
ORDER BY instance_number, instance_id
LIMIT $2;

-- instances_page_after_number: the page after an instance with a number
SELECT instance_id, series_id, study_id, sha256, size_bytes, attributes, generation,
       instance_number, receive_time
FROM archive.instance
WHERE series_id = $1 AND ((instance_number, instance_id) > ($3, $4) OR instance_number IS NULL)
ORDER BY instance_number, instance_id
LIMIT $2;

-- instances_page_after_unnumbered: the page after an instance without a number
SELECT instance_id, series_id, study_id, sha256, size_bytes, attributes, generation,
       instance_number, receive_time
FROM archive.instance
WHERE series_id = $1 AND instance_number IS NULL AND instance_id > $3
ORDER BY instance_id
LIMIT $2;

-- instance_by_id: an instance by our id
SELECT instance_id, series_id, study_id, sha256, size_bytes, attributes, generation,
       instance_number, receive_time
FROM archive.instance WHERE instance_id = $1;
