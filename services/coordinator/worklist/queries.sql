-- insert_step: schedule a step; no row when its order has one of that id
INSERT INTO worklist.scheduled_step
    (scheduled_step_id, spec, start, modality, station_ae_titles, patient_id, patient_name_folded,
     accession_number, requested_procedure_id, step_id, study_instance_uid)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (accession_number, requested_procedure_id, step_id) DO NOTHING
RETURNING scheduled_step_id, state, spec, create_time, update_time;

-- replace_step: schedule something else; violates a rule when the order has another of that id
UPDATE worklist.scheduled_step
SET spec = $2, start = $3, modality = $4, station_ae_titles = $5, patient_id = $6,
    patient_name_folded = $7, accession_number = $8, requested_procedure_id = $9, step_id = $10,
    study_instance_uid = $11, update_time = now()
WHERE scheduled_step_id = $1
RETURNING scheduled_step_id, state, spec, create_time, update_time;

-- lock_step: hold a step until the transaction ends
SELECT scheduled_step_id, state, spec, create_time, update_time FROM worklist.scheduled_step
WHERE scheduled_step_id = $1 FOR UPDATE;

-- lock_step_of_order: hold the step that an order has under an id
SELECT scheduled_step_id, state, spec, create_time, update_time FROM worklist.scheduled_step
WHERE accession_number = $1 AND requested_procedure_id = $2 AND step_id = $3 FOR UPDATE;

-- set_step_state: what became of a step
UPDATE worklist.scheduled_step SET state = $2, update_time = now() WHERE scheduled_step_id = $1
RETURNING scheduled_step_id, state, spec, create_time, update_time;

-- delete_step: forget a step
DELETE FROM worklist.scheduled_step WHERE scheduled_step_id = $1;

-- study_of_order: Study Instance UID of the steps of an order
SELECT study_instance_uid FROM worklist.scheduled_step
WHERE accession_number = $1 AND requested_procedure_id = $2 AND accession_number <> ''
ORDER BY create_time LIMIT 1;

-- advance_scheduled: a modality began or ended what orders scheduled
UPDATE worklist.scheduled_step AS s SET state = $1, update_time = now()
FROM unnest($3::text[], $4::text[]) AS named (study_instance_uid, step_id)
WHERE s.study_instance_uid = named.study_instance_uid AND s.step_id = named.step_id
  AND s.state = ANY ($2::text[]);

-- insert_performed: a modality began a step; no row when one of that UID is known
INSERT INTO worklist.performed_step
    (performed_step_id, sop_instance_uid, state, study_instance_uids, attributes, series)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (sop_instance_uid) DO NOTHING
RETURNING performed_step_id;

-- lock_performed: hold a performed step until the transaction ends
SELECT performed_step_id, sop_instance_uid, state, attributes, series, create_time, update_time
FROM worklist.performed_step WHERE sop_instance_uid = $1 FOR UPDATE;

-- update_performed: what a modality says now
UPDATE worklist.performed_step
SET state = $2, attributes = $3, series = $4, update_time = clock_timestamp()
WHERE sop_instance_uid = $1;

-- page_of_performed: performed steps, the latest heard of first
SELECT performed_step_id, sop_instance_uid, state, attributes, series, create_time, update_time
FROM worklist.performed_step
WHERE ($2::text IS NULL OR state = $2)
  AND ($3::text = '' OR study_instance_uids @> ARRAY[$3::text])
  AND ($4::text = '' OR sop_instance_uid = $4)
  AND ($5::timestamptz IS NULL OR (update_time, performed_step_id) < ($5, $6::uuid))
ORDER BY update_time DESC, performed_step_id DESC LIMIT $1;

-- forget_scheduled: steps that were to begin long ago
DELETE FROM worklist.scheduled_step
WHERE start < to_char(now() - $1::interval, 'YYYYMMDDHH24MISS') AND update_time < now() - $1::interval
RETURNING scheduled_step_id;

-- forget_performed: steps of which nothing was heard for long
DELETE FROM worklist.performed_step WHERE update_time < now() - $1::interval
RETURNING performed_step_id;
