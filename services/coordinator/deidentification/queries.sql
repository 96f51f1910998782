-- insert_project: a new project; no row when the name is taken
INSERT INTO deidentification.project
    (project_id, name, description, profile, profile_key, two_persons)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT ON CONSTRAINT project_name DO NOTHING
RETURNING project_id::text, name, description, profile, profile_key, two_persons, key_id,
          key_version, create_time;

-- update_project: description, profile and policy as they shall be
UPDATE deidentification.project
SET description = $2, profile = $3, profile_key = $4, two_persons = $5, update_time = now()
WHERE project_id = $1
RETURNING project_id::text, name, description, profile, profile_key, two_persons, key_id,
          key_version, create_time;

-- project_by_id: one project
SELECT project_id::text, name, description, profile, profile_key, two_persons, key_id,
       key_version, create_time
FROM deidentification.project WHERE project_id = $1;

-- lock_project: one project, held until the transaction ends
SELECT project_id::text, name, description, profile, profile_key, two_persons, key_id,
       key_version, create_time
FROM deidentification.project WHERE project_id = $1 FOR UPDATE;

-- project_by_name: one project
SELECT project_id::text, name, description, profile, profile_key, two_persons, key_id,
       key_version, create_time
FROM deidentification.project WHERE name = $1;

-- projects: projects by name
SELECT project_id::text, name, description, profile, profile_key, two_persons, key_id,
       key_version, create_time
FROM deidentification.project ORDER BY name LIMIT $1;

-- note_key: what is known of a project's key; its id stays, its version only rises
UPDATE deidentification.project
SET key_id = CASE WHEN key_id = '' THEN $2 ELSE key_id END,
    key_version = greatest(key_version, $3)
WHERE project_id = $1
  AND ((key_id = '' AND $2 <> '') OR key_version < $3);

-- project_summary: how far a project's work has come
SELECT (SELECT count(*) FROM crosswalk.link
        WHERE project_id = $1 AND kind = 'patient') AS patient_count,
       (SELECT count(DISTINCT study_id) FROM deidentification.request
        WHERE project_id = $1) AS study_count,
       coalesce(sum(released_count + approved_count), 0)::bigint AS released_count,
       coalesce(sum(held_count), 0)::bigint AS held_count,
       coalesce(sum(approved_count), 0)::bigint AS approved_count,
       coalesce(sum(rejected_count), 0)::bigint AS rejected_count
FROM deidentification.series WHERE project_id = $1;

-- held_by_code: held objects of a project by code, most first
SELECT c.code, count(*) AS count
FROM deidentification.series AS s
JOIN deidentification.object AS o USING (deidentification_id)
CROSS JOIN LATERAL unnest(o.codes) AS c (code)
WHERE s.project_id = $1 AND s.held_count > 0 AND o.state = 'held'
GROUP BY c.code ORDER BY count(*) DESC, c.code LIMIT 100;

-- request_series: have series of a study de-identified; every series when none is named
INSERT INTO deidentification.request (study_id, project_id, series_id)
SELECT $1, $2, t.series_id
FROM unnest(CASE WHEN cardinality($3::uuid[]) = 0 THEN ARRAY[NULL]::uuid[] ELSE $3 END)
    AS t (series_id)
ON CONFLICT DO NOTHING;

-- wanted_stages: stages that a study's requests ask for, with the version of what goes in
SELECT p.project_id::text, p.name AS project, a.series_id::text,
       left(p.profile_key, 16) || '-' || coalesce((
           SELECT sum(o.asked) FROM deidentification.series AS s
           JOIN deidentification.object AS o USING (deidentification_id)
           WHERE s.project_id = p.project_id AND s.series_id = a.series_id), 0) AS version
FROM deidentification.project AS p JOIN archive.series AS a ON a.study_id = $1
WHERE ($2::uuid IS NULL OR p.project_id = $2)
  AND EXISTS (
    SELECT FROM deidentification.request AS r
    WHERE r.study_id = $1 AND r.project_id = p.project_id
      AND (r.series_id IS NULL OR r.series_id = a.series_id))
ORDER BY p.name, a.series_id;

-- ask_again: have what is held made again
UPDATE deidentification.object AS o SET asked = o.asked + 1
FROM deidentification.series AS s
WHERE s.deidentification_id = o.deidentification_id
  AND s.project_id = $1 AND s.study_id = $2
  AND (cardinality($3::uuid[]) = 0 OR s.series_id = ANY ($3::uuid[]))
  AND o.state = 'held' AND o.asked = o.answered;

-- to_be_made: instances of a series that are not made under the profile, or asked for again
SELECT i.instance_id::text, i.instance_number, i.sha256, i.size_bytes,
       coalesce(o.approved_codes, '{}') AS approved_codes, coalesce(o.asked, 0) AS asked
FROM archive.instance AS i
LEFT JOIN deidentification.series AS s
    ON s.project_id = $1 AND s.series_id = i.series_id
LEFT JOIN deidentification.object AS o
    ON o.deidentification_id = s.deidentification_id AND o.instance_id = i.instance_id
WHERE i.series_id = $2
  AND (o.instance_id IS NULL
       OR (o.state <> 'rejected' AND (o.made_profile <> $3 OR o.asked > o.answered)))
ORDER BY i.instance_number NULLS LAST, i.instance_id;

-- known_patients: keys by which the patient of a study is known to a project
SELECT DISTINCT s.patient_tag, s.key_version
FROM archive.study AS mine
JOIN archive.study AS other ON other.patient_id = mine.patient_id
JOIN deidentification.series AS s ON s.study_id = other.study_id
WHERE mine.study_id = $2 AND s.project_id = $1 AND s.patient_tag <> '' LIMIT 100;

-- put_series: what is de-identified of a series; the same id as before
INSERT INTO deidentification.series
    (deidentification_id, project_id, study_id, series_id, modality)
SELECT $1, $2, a.study_id, a.series_id, a.modality FROM archive.series AS a WHERE a.series_id = $3
ON CONFLICT (project_id, series_id) DO UPDATE SET modality = excluded.modality
RETURNING deidentification_id::text;

-- put_objects: what became of instances; a person's rejection stays
INSERT INTO deidentification.object AS o
    (deidentification_id, instance_id, instance_number, state, released_sha256, released_bytes,
     new_instance_uid, new_series_uid, new_study_uid, codes, details, made_profile)
SELECT $1, t.instance_id, t.instance_number, t.state, nullif(t.sha256, ''),
       CASE WHEN t.sha256 <> '' THEN t.size_bytes END,
       t.instance_uid, t.series_uid, t.study_uid, string_to_array(t.codes, ','),
       t.details, $2
FROM unnest($3::uuid[], $4::integer[], $5::text[], $6::text[], $7::bigint[], $8::text[],
            $9::text[], $10::text[], $11::text[], $12::bytea[])
    AS t (instance_id, instance_number, state, sha256, size_bytes, instance_uid, series_uid,
          study_uid, codes, details)
ON CONFLICT (deidentification_id, instance_id) DO UPDATE
SET state = CASE WHEN excluded.state = 'released' AND o.decision = 'approve' THEN 'approved'
                 ELSE excluded.state END,
    released_sha256 = excluded.released_sha256, released_bytes = excluded.released_bytes,
    new_instance_uid = excluded.new_instance_uid, new_series_uid = excluded.new_series_uid,
    new_study_uid = excluded.new_study_uid, codes = excluded.codes, details = excluded.details,
    made_profile = excluded.made_profile, update_time = clock_timestamp()
WHERE o.decision <> 'reject';

-- answer_objects: up to which request they were made; what is held again waits for a decision anew
UPDATE deidentification.object AS o
SET answered = greatest(o.answered, t.asked),
    decision = CASE WHEN t.ends THEN '' ELSE o.decision END,
    decided_by = CASE WHEN t.ends THEN '' ELSE o.decided_by END,
    decision_reason = CASE WHEN t.ends THEN '' ELSE o.decision_reason END,
    decide_time = CASE WHEN t.ends THEN NULL ELSE o.decide_time END
FROM (
    SELECT m.instance_id, m.asked,
           w.state = 'held' AND w.decision = 'approve' AND m.asked >= w.asked AS ends
    FROM unnest($2::uuid[], $3::integer[]) AS m (instance_id, asked)
    JOIN deidentification.object AS w
        ON w.deidentification_id = $1 AND w.instance_id = m.instance_id
) AS t
WHERE o.deidentification_id = $1 AND o.instance_id = t.instance_id;

-- put_certificate: what was signed for a series
INSERT INTO deidentification.certificate (deidentification_id, sha256, size_bytes, media_type)
VALUES ($1, $2, $3, $4)
ON CONFLICT (deidentification_id, sha256) DO UPDATE SET create_time = excluded.create_time;

-- note_patient: the pseudonym of a series; what was released before keeps its study
UPDATE deidentification.series
SET pseudonym = $2, patient_tag = $3, key_version = $4,
    new_study_uid = coalesce(nullif($5, ''), new_study_uid)
WHERE deidentification_id = $1;

-- count_objects: bring the counts of a series up to date
UPDATE deidentification.series AS s
SET released_count = c.released, held_count = c.held, approved_count = c.approved,
    rejected_count = c.rejected, update_time = clock_timestamp()
FROM (
    SELECT count(*) FILTER (WHERE state = 'released') AS released,
           count(*) FILTER (WHERE state = 'held' AND decision = '') AS held,
           count(*) FILTER (WHERE state = 'approved') AS approved,
           count(*) FILTER (WHERE state = 'rejected') AS rejected
    FROM deidentification.object WHERE deidentification_id = $1
) AS c
WHERE s.deidentification_id = $1
RETURNING s.study_id::text, s.series_id::text, s.released_count, s.held_count, s.approved_count,
          s.rejected_count;

-- series_page: de-identified series, the latest first
SELECT deidentification_id::text, project_id::text, study_id::text, series_id::text, modality,
       pseudonym, new_study_uid, key_version, released_count, held_count, approved_count,
       rejected_count, update_time
FROM deidentification.series
WHERE ($2::uuid IS NULL OR project_id = $2) AND ($3::uuid IS NULL OR study_id = $3)
  AND CASE $4::text WHEN 'released' THEN released_count > 0 WHEN 'held' THEN held_count > 0
                    WHEN 'approved' THEN approved_count > 0 WHEN 'rejected' THEN rejected_count > 0
                    ELSE true END
  AND ($5::timestamptz IS NULL OR (update_time, deidentification_id) < ($5, $6::uuid))
ORDER BY update_time DESC, deidentification_id DESC LIMIT $1;

-- series_by_id: one de-identified series
SELECT deidentification_id::text, project_id::text, study_id::text, series_id::text, modality,
       pseudonym, new_study_uid, key_version, released_count, held_count, approved_count,
       rejected_count, update_time
FROM deidentification.series WHERE deidentification_id = $1;

-- certificates: what was signed for series, the latest first
SELECT deidentification_id::text, sha256, size_bytes, media_type
FROM deidentification.certificate WHERE deidentification_id = ANY ($1::uuid[])
ORDER BY create_time DESC, sha256;

-- objects_page: objects of a series by instance number
SELECT instance_id::text, instance_number, state, released_sha256, released_bytes, codes, details,
       decision, decided_by, decision_reason, decide_time
FROM deidentification.object
WHERE deidentification_id = $1 AND ($2::text IS NULL OR state = $2)
  AND ($4::integer IS NULL OR (instance_number, instance_id) > ($4, $5::uuid))
ORDER BY instance_number, instance_id LIMIT $3;

-- object_by_id: one object
SELECT instance_id::text, instance_number, state, released_sha256, released_bytes, codes, details,
       decision, decided_by, decision_reason, decide_time
FROM deidentification.object WHERE deidentification_id = $1 AND instance_id = $2;

-- source_of: the file an object was made of
SELECT i.sha256, i.size_bytes FROM deidentification.object AS o
JOIN archive.instance AS i USING (instance_id)
WHERE o.deidentification_id = $1 AND o.instance_id = $2;

-- approve_object: let it be made again with its findings approved
UPDATE deidentification.object
SET state = 'held', released_sha256 = NULL, released_bytes = NULL, new_instance_uid = '',
    new_series_uid = '', new_study_uid = '', asked = asked + 1, decision = 'approve',
    approved_codes = ARRAY(SELECT DISTINCT unnest(approved_codes || codes) ORDER BY 1),
    decided_by = $3, decision_reason = $4, decide_time = now(), update_time = clock_timestamp()
WHERE deidentification_id = $1 AND instance_id = $2;

-- reject_object: keep it inside
UPDATE deidentification.object
SET state = 'rejected', released_sha256 = NULL, released_bytes = NULL, new_instance_uid = '',
    new_series_uid = '', new_study_uid = '', answered = asked, decision = 'reject',
    decided_by = $3, decision_reason = $4, decide_time = now(), update_time = clock_timestamp()
WHERE deidentification_id = $1 AND instance_id = $2;

-- studies_with_held: studies with something held for a project
SELECT study_id::text, array_agg(series_id::text ORDER BY series_id) AS series_ids
FROM deidentification.series WHERE project_id = $1 AND held_count > 0
GROUP BY study_id ORDER BY study_id;

-- release_counts: how far series of a study are from going outside
SELECT count(*) FILTER (WHERE r.study_id IS NULL AND o.instance_id IS NULL) AS unasked,
       count(*) FILTER (WHERE r.study_id IS NOT NULL AND o.instance_id IS NULL) AS unmade,
       count(*) FILTER (WHERE o.asked > o.answered) AS asked,
       count(*) FILTER (WHERE o.state = 'held' AND o.asked = o.answered) AS held,
       count(*) FILTER (WHERE o.state IN ('released', 'approved')) AS released,
       count(*) FILTER (WHERE o.state = 'rejected') AS rejected
FROM archive.instance AS i
LEFT JOIN deidentification.series AS s ON s.project_id = $2 AND s.series_id = i.series_id
LEFT JOIN deidentification.object AS o
    ON o.deidentification_id = s.deidentification_id AND o.instance_id = i.instance_id
LEFT JOIN LATERAL (
    SELECT q.study_id FROM deidentification.request AS q
    WHERE q.study_id = $1 AND q.project_id = $2
      AND (q.series_id IS NULL OR q.series_id = i.series_id) LIMIT 1) AS r ON true
WHERE i.study_id = $1 AND (cardinality($3::uuid[]) = 0 OR i.series_id = ANY ($3::uuid[]));

-- release_stages: states of the stages that work on it
SELECT DISTINCT g.state FROM workflow.stage AS g
JOIN archive.study AS s ON s.study_id = g.study_id AND s.generation = g.generation
WHERE g.study_id = $1 AND g.name = $2
  AND (cardinality($3::uuid[]) = 0 OR g.series_id = ANY ($3::uuid[]));

-- released_page: objects that may go outside, by series and instance number
SELECT i.series_id::text, o.instance_id::text, o.instance_number, o.released_sha256,
       o.released_bytes, i.sop_class_uid, o.new_instance_uid, o.new_series_uid, o.new_study_uid
FROM deidentification.series AS s
JOIN deidentification.object AS o USING (deidentification_id)
JOIN archive.instance AS i ON i.instance_id = o.instance_id
WHERE s.study_id = $1 AND s.project_id = $2
  AND (cardinality($3::uuid[]) = 0 OR s.series_id = ANY ($3::uuid[]))
  AND o.state IN ('released', 'approved')
  AND ($5::uuid IS NULL
       OR (s.series_id, o.instance_number, o.instance_id) > ($5, $6::integer, $7::uuid))
ORDER BY s.series_id, o.instance_number, o.instance_id LIMIT $4;

-- count_states: objects by what stands of them
SELECT coalesce(sum(released_count), 0)::bigint AS released,
       coalesce(sum(held_count), 0)::bigint AS held,
       coalesce(sum(approved_count), 0)::bigint AS approved,
       coalesce(sum(rejected_count), 0)::bigint AS rejected
FROM deidentification.series;

-- forget_certificates: what was signed for a study that is deleted
DELETE FROM deidentification.certificate WHERE deidentification_id IN (
    SELECT deidentification_id FROM deidentification.series WHERE study_id = $1);

-- forget_objects: what became of its objects
DELETE FROM deidentification.object WHERE deidentification_id IN (
    SELECT deidentification_id FROM deidentification.series WHERE study_id = $1);

-- forget_series: its series
DELETE FROM deidentification.series WHERE study_id = $1;

-- forget_requests: that it was to be de-identified
DELETE FROM deidentification.request WHERE study_id = $1;
