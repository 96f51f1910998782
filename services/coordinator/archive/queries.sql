-- study_by_id: a study by our id
SELECT study_id, study_instance_uid, patient_id, patient_id_text, issuer_of_patient_id,
       patient_name, patient_birth_date, patient_sex, study_date, study_day, study_time,
       accession_number, study_id_text, study_description, referring_physician_name, modalities,
       series_count, instance_count, conflict_count, patient_mismatch_count, state, evidence,
       generation, priority, first_receive_time, last_receive_time
FROM archive.study WHERE study_id = $1;

-- study_by_uid: a study by its Study Instance UID
SELECT study_id, study_instance_uid, patient_id, patient_id_text, issuer_of_patient_id,
       patient_name, patient_birth_date, patient_sex, study_date, study_day, study_time,
       accession_number, study_id_text, study_description, referring_physician_name, modalities,
       series_count, instance_count, conflict_count, patient_mismatch_count, state, evidence,
       generation, priority, first_receive_time, last_receive_time
FROM archive.study WHERE study_instance_uid = $1;

-- lock_study: hold a study until the transaction ends
SELECT generation, state FROM archive.study WHERE study_id = $1 FOR UPDATE;

-- set_study_state: change the state; no row when it is the same
UPDATE archive.study SET state = $2, evidence = coalesce($3, evidence)
WHERE study_id = $1 AND state <> $2
RETURNING generation;

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

-- held_instances: which of some SOP Instance UIDs are taken, and by what
SELECT i.sop_instance_uid, i.instance_id, i.series_id, i.study_id, s.study_instance_uid,
       i.sha256, i.generation
FROM archive.instance AS i JOIN archive.study AS s USING (study_id)
WHERE i.sop_instance_uid = ANY ($1::text[]);

-- lock_studies: hold studies in one order until the transaction ends
SELECT study_id, study_instance_uid, state, generation, modalities, patient_id_text,
       issuer_of_patient_id, patient_mismatch_count > 0 AS mismatched,
       grew_event_time IS NULL OR grew_event_time < now() - interval '1 second' AS tell_growth
FROM archive.study WHERE study_instance_uid = ANY ($1::text[])
ORDER BY study_instance_uid FOR UPDATE;

-- add_patients: patients not known yet
INSERT INTO archive.patient (patient_id, patient_key, patient_id_text, issuer_of_patient_id)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
    AS fresh (patient_id, patient_key, patient_id_text, issuer_of_patient_id)
ORDER BY patient_key
ON CONFLICT (patient_key) DO NOTHING;

-- hold_patients: keep patients from being taken away until the transaction ends
SELECT patient_key FROM archive.patient WHERE patient_key = ANY ($1::text[])
ORDER BY patient_key FOR KEY SHARE;

-- add_studies: studies not known yet; a row for each that was added
INSERT INTO archive.study
    (study_id, study_instance_uid, patient_id, patient_id_text, issuer_of_patient_id,
     patient_name, patient_birth_date, patient_sex, study_date, study_day, study_time,
     accession_number, study_id_text, study_description, referring_physician_name, search,
     patient_name_key, referring_physician_name_key)
SELECT fresh.study_id, fresh.study_instance_uid, p.patient_id, fresh.patient_id_text,
       fresh.issuer_of_patient_id, fresh.patient_name, fresh.patient_birth_date,
       fresh.patient_sex, fresh.study_date, fresh.study_day, fresh.study_time,
       fresh.accession_number, fresh.study_id_text, fresh.study_description,
       fresh.referring_physician_name, array_to_tsvector(string_to_array(fresh.words, E'\n')),
       fresh.patient_name_key, fresh.referring_physician_name_key
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
            $14::text[], $15::text[], $16::text[], $17::text[], $18::text[])
    AS fresh (study_id, study_instance_uid, patient_key, patient_id_text, issuer_of_patient_id,
              patient_name, patient_birth_date, patient_sex, study_date, study_day, study_time,
              accession_number, study_id_text, study_description, referring_physician_name, words,
              patient_name_key, referring_physician_name_key)
JOIN archive.patient AS p USING (patient_key)
ORDER BY fresh.study_instance_uid
ON CONFLICT (study_instance_uid) DO NOTHING
RETURNING study_id;

-- add_to_series: series with the number of instances that come to each
INSERT INTO archive.series
    (series_id, study_id, series_instance_uid, modality, series_description, series_number,
     body_part_examined, instance_count, last_generation, protocol_name, station_name,
     series_date, series_time, step_start_date, step_start_time)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::integer[],
                     $7::text[], $8::integer[], $9::integer[], $10::text[], $11::text[],
                     $12::text[], $13::text[], $14::text[], $15::text[])
    AS fresh (series_id, study_id, series_instance_uid, modality, series_description,
              series_number, body_part_examined, instance_count, last_generation, protocol_name,
              station_name, series_date, series_time, step_start_date, step_start_time)
ORDER BY study_id, series_instance_uid
ON CONFLICT (study_id, series_instance_uid) DO UPDATE
SET instance_count = series.instance_count + excluded.instance_count,
    last_receive_time = now(),
    last_generation = excluded.last_generation
RETURNING series_id, study_id, series_instance_uid;

-- add_instances: a row for each that was added
INSERT INTO archive.instance
    (instance_id, series_id, study_id, sop_instance_uid, sop_class_uid, sha256, size_bytes,
     generation, instance_number, attributes, association_id, receive_time, transfer_syntax_uid,
     number_of_frames)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                     $7::bigint[], $8::integer[], $9::integer[], $10::bytea[], $11::uuid[],
                     $12::timestamptz[], $13::text[], $14::integer[])
    AS fresh (instance_id, series_id, study_id, sop_instance_uid, sop_class_uid, sha256,
              size_bytes, generation, instance_number, attributes, association_id, receive_time,
              transfer_syntax_uid, number_of_frames)
ORDER BY sop_instance_uid
ON CONFLICT (sop_instance_uid) DO NOTHING
RETURNING instance_id;

-- add_conflicts: bytes kept aside; the study of each that was added
INSERT INTO archive.conflict
    (conflict_id, instance_id, study_id, sha256, size_bytes, attributes, association_id,
     receive_time)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::bytea[],
                     $7::uuid[], $8::timestamptz[])
    AS fresh (conflict_id, instance_id, study_id, sha256, size_bytes, attributes,
              association_id, receive_time)
ORDER BY instance_id, sha256
ON CONFLICT (instance_id, sha256) DO NOTHING
RETURNING study_id;

-- count_conflicts: add to the number of conflicts of studies
UPDATE archive.study AS s SET conflict_count = s.conflict_count + more.conflicts
FROM unnest($1::uuid[], $2::integer[]) AS more (study_id, conflicts)
WHERE s.study_id = more.study_id;

-- grow_studies: count what came; opens the generation that was decided
UPDATE archive.study AS s
SET instance_count = s.instance_count + more.instances,
    series_count = s.series_count + more.series,
    generation = more.generation,
    state = 'receiving',
    evidence = CASE WHEN more.generation = s.generation THEN s.evidence END,
    last_receive_time = now(),
    grew_event_time = CASE WHEN more.told THEN now() ELSE s.grew_event_time END,
    patient_mismatch_count = s.patient_mismatch_count + more.mismatches
FROM unnest($1::uuid[], $2::integer[], $3::integer[], $4::integer[], $5::boolean[], $6::integer[])
    AS more (study_id, instances, series, generation, told, mismatches)
WHERE s.study_id = more.study_id;

-- set_modalities: modalities of one study
UPDATE archive.study SET modalities = $2 WHERE study_id = $1;

-- note_associations: which associations bring which studies
INSERT INTO archive.association (association_id, study_id, generation)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[])
    AS fresh (association_id, study_id, generation)
ORDER BY association_id, study_id
ON CONFLICT (association_id, study_id) DO UPDATE
SET generation = excluded.generation, last_receive_time = now();

-- lock_associations: hold rows in one order until the transaction ends
SELECT association_id FROM archive.association
WHERE association_id = ANY ($1::uuid[])
ORDER BY association_id, study_id FOR UPDATE;

-- close_associations: senders that have gone
UPDATE archive.association AS a SET open = false, released = gone.released
FROM unnest($1::uuid[], $2::boolean[]) AS gone (association_id, released)
WHERE a.association_id = gone.association_id;

-- study_contents: how much there is of a study
SELECT s.series_count, s.instance_count, s.conflict_count,
       ((SELECT coalesce(sum(i.size_bytes), 0) FROM archive.instance AS i
         WHERE i.study_id = s.study_id)
        + (SELECT coalesce(sum(c.size_bytes), 0) FROM archive.conflict AS c
           WHERE c.study_id = s.study_id))::bigint AS size_bytes,
       s.state = 'receiving' AS receiving
FROM archive.study AS s WHERE s.study_id = $1;

-- patient_of_study: whose study it is
SELECT patient_id FROM archive.study WHERE study_id = $1;

-- delete_conflicts: take away what was kept aside for a study
DELETE FROM archive.conflict WHERE study_id = $1;

-- delete_instances: take away the instances of a study
DELETE FROM archive.instance WHERE study_id = $1;

-- delete_series: take away the series of a study
DELETE FROM archive.series WHERE study_id = $1;

-- delete_associations: forget who brought a study
DELETE FROM archive.association WHERE study_id = $1;

-- delete_study: take away a study
DELETE FROM archive.study WHERE study_id = $1;

-- delete_lone_patient: take away a patient without a study
DELETE FROM archive.patient AS p WHERE p.patient_id = $1
  AND NOT EXISTS (SELECT FROM archive.study AS s WHERE s.patient_id = p.patient_id);
