-- bound_search: how a search runs: alone, and not by a plan that was made for any value
SELECT set_config('statement_timeout', $1, true), set_config('jit', 'off', true),
       set_config('plan_cache_mode', 'force_custom_plan', true),
       set_config('max_parallel_workers_per_gather', '0', true);

-- survivors: the patients that stand for some
SELECT DISTINCT coalesce(surviving_id, patient_id) FROM archive.patient
WHERE patient_id = ANY ($1::uuid[]);

-- patients_by_id: patients with what the latest study says of each, those merged into it counted;
-- studies are read once for all, whatever plan is chosen
WITH members AS MATERIALIZED (
    SELECT coalesce(surviving_id, patient_id) AS patient_id, patient_id AS member_id
    FROM archive.patient WHERE coalesce(surviving_id, patient_id) = ANY ($1::uuid[])
), studies AS MATERIALIZED (
    SELECT m.patient_id, m.member_id = m.patient_id AS own, s.study_id, s.first_receive_time,
           s.patient_name, s.patient_birth_date, s.patient_sex, s.series_count, s.instance_count
    FROM members AS m JOIN archive.study AS s ON s.patient_id = m.member_id
), latest AS (
    SELECT DISTINCT ON (patient_id) patient_id, patient_name, patient_birth_date, patient_sex
    FROM studies ORDER BY patient_id, own DESC, first_receive_time DESC, study_id DESC
), counted AS (
    SELECT patient_id, count(*) AS study_count, sum(series_count) AS series_count,
           sum(instance_count) AS instance_count
    FROM studies GROUP BY patient_id
)
SELECT p.patient_id, p.patient_id_text, p.issuer_of_patient_id, latest.patient_name,
       latest.patient_birth_date, latest.patient_sex, counted.study_count, counted.series_count,
       counted.instance_count
FROM archive.patient AS p
JOIN latest ON latest.patient_id = p.patient_id
JOIN counted ON counted.patient_id = p.patient_id
WHERE p.patient_id = ANY ($1::uuid[]);

-- studies_by_id: some studies
SELECT study_id, study_instance_uid, patient_id, patient_id_text, issuer_of_patient_id,
       patient_name, patient_birth_date, patient_sex, study_date, study_day, study_time,
       accession_number, study_id_text, study_description, referring_physician_name, modalities,
       series_count, instance_count, conflict_count, patient_mismatch_count, state, evidence,
       generation, priority, first_receive_time, last_receive_time
FROM archive.study WHERE study_id = ANY ($1::uuid[]);

-- series_heads: some series
SELECT series_id, study_id, series_instance_uid, modality, series_description, series_number,
       body_part_examined, instance_count, last_generation
FROM archive.series WHERE series_id = ANY ($1::uuid[]);

-- series_by_id: some series, each with the attributes of its instance with the lowest number
SELECT e.series_id, e.study_id, e.series_instance_uid, e.modality, e.series_description,
       e.series_number, e.body_part_examined, e.instance_count, e.last_generation,
       first.attributes
FROM archive.series AS e
LEFT JOIN LATERAL (
    SELECT i.attributes FROM archive.instance AS i WHERE i.series_id = e.series_id
    ORDER BY i.instance_number, i.instance_id LIMIT 1
) AS first ON true
WHERE e.series_id = ANY ($1::uuid[]);

-- instances_by_id: some instances
SELECT instance_id, series_id, study_id, sha256, size_bytes, attributes, generation,
       instance_number, receive_time
FROM archive.instance WHERE instance_id = ANY ($1::uuid[]);

-- locate_in_series: all instances of small series, in the order of the series given
SELECT i.instance_id, i.series_id, i.study_id, s.study_instance_uid, e.series_instance_uid,
       i.sop_instance_uid, i.sop_class_uid, i.transfer_syntax_uid, i.number_of_frames, i.sha256,
       i.size_bytes, CASE WHEN i.transfer_syntax_uid IS NULL THEN i.attributes END AS attributes
FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted (series_id, place)
JOIN archive.series AS e ON e.series_id = wanted.series_id
JOIN archive.study AS s ON s.study_id = e.study_id
JOIN archive.instance AS i ON i.series_id = e.series_id
ORDER BY wanted.place, i.instance_number, i.instance_id;

-- locate_numbered: instances of a series that have a number and follow one of them
SELECT i.instance_id, i.series_id, i.study_id, s.study_instance_uid, e.series_instance_uid,
       i.sop_instance_uid, i.sop_class_uid, i.transfer_syntax_uid, i.number_of_frames, i.sha256,
       i.size_bytes, CASE WHEN i.transfer_syntax_uid IS NULL THEN i.attributes END AS attributes,
       i.instance_number
FROM archive.instance AS i
JOIN archive.series AS e ON e.series_id = i.series_id
JOIN archive.study AS s ON s.study_id = e.study_id
WHERE i.series_id = $1 AND (i.instance_number, i.instance_id) > ($2::integer, $3::uuid)
ORDER BY i.instance_number, i.instance_id
LIMIT $4;

-- locate_unnumbered: instances of a series that have no number and follow one of them
SELECT i.instance_id, i.series_id, i.study_id, s.study_instance_uid, e.series_instance_uid,
       i.sop_instance_uid, i.sop_class_uid, i.transfer_syntax_uid, i.number_of_frames, i.sha256,
       i.size_bytes, CASE WHEN i.transfer_syntax_uid IS NULL THEN i.attributes END AS attributes,
       i.instance_number
FROM archive.instance AS i
JOIN archive.series AS e ON e.series_id = i.series_id
JOIN archive.study AS s ON s.study_id = e.study_id
WHERE i.series_id = $1 AND i.instance_number IS NULL AND i.instance_id > $3::uuid
  AND $2::integer IS NOT NULL
ORDER BY i.instance_id
LIMIT $4;

-- unfilled_studies: studies of an earlier version, whose names cannot be matched yet
SELECT study_id, patient_name, referring_physician_name FROM archive.study
WHERE patient_name_key IS NULL LIMIT $1 FOR UPDATE SKIP LOCKED;

-- fill_studies: names as they are matched
UPDATE archive.study AS s
SET patient_name_key = f.patient_name_key,
    referring_physician_name_key = f.referring_physician_name_key
FROM unnest($1::uuid[], $2::text[], $3::text[])
    AS f (study_id, patient_name_key, referring_physician_name_key)
WHERE s.study_id = f.study_id;

-- unfilled_series: series of an earlier version, each with the attributes of its first instance
SELECT e.series_id, first.attributes
FROM archive.series AS e
LEFT JOIN LATERAL (
    SELECT i.attributes FROM archive.instance AS i WHERE i.series_id = e.series_id
    ORDER BY i.instance_number, i.instance_id LIMIT 1
) AS first ON true
WHERE e.protocol_name IS NULL LIMIT $1 FOR UPDATE OF e SKIP LOCKED;

-- fill_series: what series queries match besides
UPDATE archive.series AS e
SET protocol_name = f.protocol_name, station_name = f.station_name, series_date = f.series_date,
    series_time = f.series_time, step_start_date = f.step_start_date,
    step_start_time = f.step_start_time
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
    AS f (series_id, protocol_name, station_name, series_date, series_time, step_start_date,
          step_start_time)
WHERE e.series_id = f.series_id;

-- unfilled_instances: instances of an earlier version
SELECT instance_id, attributes FROM archive.instance
WHERE transfer_syntax_uid IS NULL LIMIT $1 FOR UPDATE SKIP LOCKED;

-- fill_instances: how their bytes are encoded
UPDATE archive.instance AS i
SET transfer_syntax_uid = f.transfer_syntax_uid, number_of_frames = f.number_of_frames
FROM unnest($1::uuid[], $2::text[], $3::integer[])
    AS f (instance_id, transfer_syntax_uid, number_of_frames)
WHERE i.instance_id = f.instance_id;

-- only_matching: find by what matches, never by reading in order until enough has been found
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true);

-- by_any_plan: the planner decides again
SELECT set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'on', true);

-- latest_of_days: the study with the highest id of some days, and how many of them were looked at;
-- steps from day to day down the index
WITH RECURSIVE days AS (
    (SELECT study_day, study_id FROM archive.study
     WHERE study_day <= $2::text AND study_day >= $1::text
     ORDER BY study_day DESC, study_id DESC LIMIT 1)
    UNION ALL
    SELECT earlier.study_day, earlier.study_id FROM days
    CROSS JOIN LATERAL (
        SELECT study_day, study_id FROM archive.study
        WHERE study_day < days.study_day AND study_day >= $1::text
        ORDER BY study_day DESC, study_id DESC LIMIT 1
    ) AS earlier
), looked_at AS MATERIALIZED (
    SELECT study_id FROM days LIMIT $3::integer
)
SELECT study_id, (SELECT count(*) FROM looked_at) AS days FROM looked_at
ORDER BY study_id DESC LIMIT 1;
