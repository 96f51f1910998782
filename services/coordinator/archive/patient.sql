-- linked_patients: other patients of the same merge as some; with their issuer when it is given
SELECT DISTINCT other.patient_id
FROM archive.patient AS one
JOIN archive.patient AS other
  ON coalesce(other.surviving_id, other.patient_id) = coalesce(one.surviving_id, one.patient_id)
WHERE left(one.patient_id_text, 64) = ANY ($1::text[]) AND one.patient_id_text = ANY ($2::text[])
  AND ($3::text[] IS NULL OR one.issuer_of_patient_id = ANY ($3::text[]))
  AND other.patient_id <> one.patient_id;

-- survivor_of: the patient that stands for one
SELECT coalesce(surviving_id, patient_id) FROM archive.patient WHERE patient_id = $1;

-- survivor_of_identity: the patient that stands for one, as senders name it
SELECT coalesce(surviving_id, patient_id) FROM archive.patient
WHERE left(patient_id_text, 64) = left($1::text, 64) AND patient_id_text = $1::text
  AND issuer_of_patient_id = $2::text;

-- identities: what was merged into a patient, itself first, each by itself
SELECT p.patient_id, p.patient_id_text, p.issuer_of_patient_id,
       coalesce(latest.patient_name, '') AS patient_name,
       coalesce(latest.patient_birth_date, '') AS patient_birth_date,
       coalesce(latest.patient_sex, '') AS patient_sex, counted.study_count,
       coalesce(counted.series_count, 0) AS series_count,
       coalesce(counted.instance_count, 0) AS instance_count
FROM archive.patient AS p
LEFT JOIN LATERAL (
    SELECT s.patient_name, s.patient_birth_date, s.patient_sex
    FROM archive.study AS s WHERE s.patient_id = p.patient_id
    ORDER BY s.first_receive_time DESC, s.study_id DESC LIMIT 1
) AS latest ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS study_count, sum(s.series_count) AS series_count,
           sum(s.instance_count) AS instance_count
    FROM archive.study AS s WHERE s.patient_id = p.patient_id
) AS counted
WHERE coalesce(p.surviving_id, p.patient_id) = $1
ORDER BY p.patient_id <> $1, p.patient_id
LIMIT $2;

-- history: studies of some patients, the latest Study Date first
SELECT study_id, study_instance_uid, patient_id, patient_id_text, issuer_of_patient_id,
       patient_name, patient_birth_date, patient_sex, study_date, study_day, study_time,
       accession_number, study_id_text, study_description, referring_physician_name, modalities,
       series_count, instance_count, conflict_count, patient_mismatch_count, state, evidence,
       generation, priority, first_receive_time, last_receive_time
FROM archive.study WHERE patient_id = ANY ($1::uuid[])
ORDER BY study_day DESC, study_id DESC
LIMIT $2;

-- merges: merges of some patients, the latest first
SELECT merge_id, merged_id, into_id, reason, merged_by, merge_time, unmerged_by, unmerge_time
FROM archive.patient_merge
WHERE merged_id = ANY ($1::uuid[]) OR into_id = ANY ($1::uuid[])
ORDER BY merge_time DESC, merge_id DESC
LIMIT $2;

-- lock_merges: one merge at a time; they are rare
SELECT pg_advisory_xact_lock(hashtextextended('archive.patient_merge', 0));

-- merge_state: which patients are known, and what stands for them
SELECT patient_id, surviving_id FROM archive.patient WHERE patient_id = ANY ($1::uuid[]);

-- merge_in_force: the merge of a patient that is in force
SELECT merge_id, merged_id, into_id, reason, merged_by, merge_time, unmerged_by, unmerge_time
FROM archive.patient_merge WHERE merged_id = $1 AND unmerge_time IS NULL;

-- latest_merge: the latest merge of a patient
SELECT merge_id, merged_id, into_id, reason, merged_by, merge_time, unmerged_by, unmerge_time
FROM archive.patient_merge WHERE merged_id = $1
ORDER BY merge_time DESC, merge_id DESC LIMIT 1;

-- add_merge: record a merge
INSERT INTO archive.patient_merge (merge_id, merged_id, into_id, reason, merged_by)
VALUES ($1, $2, $3, $4, $5)
RETURNING merge_id, merged_id, into_id, reason, merged_by, merge_time, unmerged_by, unmerge_time;

-- link: let a patient stand for another and all that it stood for
UPDATE archive.patient SET surviving_id = $2::uuid
WHERE coalesce(surviving_id, patient_id) = $1::uuid;

-- end_merge: record that a merge is undone
UPDATE archive.patient_merge SET unmerged_by = $2, unmerge_time = now() WHERE merge_id = $1
RETURNING merge_id, merged_id, into_id, reason, merged_by, merge_time, unmerged_by, unmerge_time;

-- unlink: let a patient stand for itself, and for what is merged into it
WITH RECURSIVE below AS (
    SELECT $1::uuid AS patient_id
    UNION
    SELECT m.merged_id FROM archive.patient_merge AS m JOIN below ON m.into_id = below.patient_id
    WHERE m.unmerge_time IS NULL
)
UPDATE archive.patient AS p
SET surviving_id = CASE WHEN p.patient_id = $1::uuid THEN NULL ELSE $1::uuid END
FROM below WHERE p.patient_id = below.patient_id;
