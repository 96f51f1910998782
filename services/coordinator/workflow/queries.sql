-- insert_stages: make stages; those that exist stay as they are
INSERT INTO workflow.stage
    (stage_id, study_id, series_id, generation, name, version, correlation_id, priority)
SELECT t.stage_id, $1, t.series_id, $2, t.name, t.version, $3, $4
FROM unnest($5::uuid[], $6::uuid[], $7::text[], $8::text[]) AS t (stage_id, series_id, name, version)
ON CONFLICT DO NOTHING;

-- insert_dependencies: make stages depend on others
INSERT INTO workflow.stage_dependency (stage_id, depends_on)
SELECT t.stage_id, t.depends_on FROM unnest($1::uuid[], $2::uuid[]) AS t (stage_id, depends_on)
ON CONFLICT DO NOTHING;

-- insert_plan: keep the plan of a generation
INSERT INTO workflow.plan (study_id, generation, plan) VALUES ($1, $2, $3)
ON CONFLICT (study_id, generation) DO UPDATE SET plan = excluded.plan, create_time = now();

-- plan_of_study: the plan of a generation
SELECT plan FROM workflow.plan WHERE study_id = $1 AND generation = $2;

-- planned_generation: the latest generation that has a plan
SELECT max(generation) FROM workflow.plan WHERE study_id = $1;

-- stage_by_id: one stage
SELECT * FROM workflow.stage_head WHERE stage_id = $1;

-- study_of_stage: whose stage it is
SELECT study_id::text FROM workflow.stage WHERE stage_id = $1;

-- stages_of_generation: stages of one generation of a study
SELECT * FROM workflow.stage_head WHERE study_id = $1 AND generation = $2;

-- stages_of_study: stages of a study
SELECT * FROM workflow.stage_head WHERE study_id = $1;

-- unlocked_stages: stages that wait, are not queued and depend on nothing unsettled
SELECT stage_id::text FROM workflow.stage AS s
WHERE s.study_id = $1 AND s.generation = $2 AND s.state = 'pending' AND NOT s.queued
  AND NOT EXISTS (
    SELECT FROM workflow.stage_dependency AS d JOIN workflow.stage AS p ON p.stage_id = d.depends_on
    WHERE d.stage_id = s.stage_id AND p.state NOT IN ('done', 'refused'));

-- dependencies: what stages of a generation depend on
SELECT d.stage_id::text, d.depends_on::text
FROM workflow.stage_dependency AS d JOIN workflow.stage AS s ON s.stage_id = d.stage_id
WHERE s.study_id = $1 AND s.generation = $2;

-- settled_before: outcomes of older generations that may be used again, the latest first
SELECT stage_id::text, name, series_id::text, input_key FROM workflow.stage
WHERE study_id = $1 AND generation < $2 AND settled_state IS NOT NULL
ORDER BY generation DESC;

-- copy_outcome: take over the outcome of an older stage
UPDATE workflow.stage AS s
SET state = o.settled_state, settled_state = o.settled_state, input_key = o.input_key,
    output_key = o.output_key, reason_code = o.reason_code, reason_text = o.reason_text,
    result = o.result, result_type = o.result_type, update_time = clock_timestamp()
FROM workflow.stage AS o
WHERE s.stage_id = $1 AND o.stage_id = $2 AND s.state = 'pending';

-- queue_stages: mark stages as queued for a new turn
UPDATE workflow.stage AS s
SET queued = true, turn = s.turn + 1, rank = t.rank, input_key = t.input_key,
    queue_time = clock_timestamp()
FROM unnest($1::uuid[], $2::integer[], $3::text[]) AS t (stage_id, rank, input_key)
WHERE s.stage_id = t.stage_id
RETURNING s.stage_id::text, s.turn, s.name, s.rank, s.priority;

-- take_stage: begin an attempt
UPDATE workflow.stage
SET state = 'running', current_attempt_id = $3, attempt_count = attempt_count + 1,
    failure_count = $4, next_attempt_time = NULL, reason_code = '', reason_text = '',
    progress_fraction = NULL, progress_activity = '', update_time = clock_timestamp()
WHERE stage_id = $1 AND turn = $2 AND state IN ('pending', 'running')
RETURNING attempt_count;

-- insert_attempt: keep an attempt that begins
INSERT INTO workflow.attempt (attempt_id, stage_id, number, worker) VALUES ($1, $2, $3, $4);

-- end_attempt: keep how an attempt ended; the first outcome stays
UPDATE workflow.attempt
SET outcome = $2, error_reason = $3, service_version = $4,
    end_time = CASE WHEN $2 = 'lost' THEN NULL ELSE clock_timestamp() END
WHERE attempt_id = $1 AND outcome = '';

-- finish_stage: keep the outcome of the current attempt
UPDATE workflow.stage
SET state = $3, settled_state = $3, result = $4, result_type = $5, output_key = $6,
    reason_code = $7, reason_text = $8, queued = false, current_attempt_id = NULL,
    next_attempt_time = NULL, progress_fraction = NULL, progress_activity = '', failure_count = 0,
    update_time = clock_timestamp()
WHERE stage_id = $1 AND current_attempt_id = $2 AND state = 'running'
RETURNING true;

-- postpone_stage: the current attempt failed; try again after a delay
UPDATE workflow.stage
SET state = 'pending', queued = true, turn = turn + 1, current_attempt_id = NULL,
    failure_count = $3, reason_code = $4, reason_text = $5,
    next_attempt_time = CASE WHEN $6 > interval '0' THEN now() + $6 END,
    progress_fraction = NULL, progress_activity = '', update_time = clock_timestamp()
WHERE stage_id = $1 AND current_attempt_id = $2 AND state = 'running'
RETURNING turn;

-- hold_stage: the current attempt failed; a person is needed
UPDATE workflow.stage
SET state = 'held', queued = false, current_attempt_id = NULL, failure_count = $3,
    reason_code = $4, reason_text = $5, next_attempt_time = NULL,
    progress_fraction = NULL, progress_activity = '', update_time = clock_timestamp()
WHERE stage_id = $1 AND current_attempt_id = $2 AND state = 'running'
RETURNING true;

-- refuse_waiting_stage: refuse a stage that cannot be done because of another
UPDATE workflow.stage
SET state = 'refused', settled_state = 'refused', reason_code = $2, reason_text = $3,
    input_key = $4, update_time = clock_timestamp()
WHERE stage_id = $1 AND state = 'pending';

-- record_progress: how far the current attempt has come; no row when it is fenced
UPDATE workflow.stage
SET progress_fraction = $3, progress_activity = $4,
    progress_time = CASE WHEN progress_fraction IS DISTINCT FROM $3
                           OR progress_activity IS DISTINCT FROM $4
                         THEN clock_timestamp() ELSE progress_time END
WHERE stage_id = $1 AND current_attempt_id = $2 AND state = 'running'
RETURNING true;

-- reset_stages: let stages wait anew
UPDATE workflow.stage
SET state = 'pending', settled_state = NULL, queued = false, turn = turn + 1, failure_count = 0,
    reason_code = '', reason_text = '', next_attempt_time = NULL, result = NULL, result_type = '',
    output_key = '', current_attempt_id = NULL, progress_fraction = NULL, progress_activity = '',
    update_time = clock_timestamp()
WHERE stage_id = ANY($1::uuid[])
RETURNING stage_id::text, series_id::text, name, generation, correlation_id;

-- set_stage_summary: what came of a stage that is done, in a sentence
UPDATE workflow.stage SET reason_text = $2 WHERE stage_id = $1 AND state = 'done';

-- set_stage_version: another version of the model is used
UPDATE workflow.stage SET version = $2 WHERE stage_id = $1;

-- cancel_stages: hold what waits or runs
UPDATE workflow.stage
SET state = 'held', queued = false, turn = turn + 1, current_attempt_id = NULL,
    reason_code = $3, reason_text = $4, next_attempt_time = NULL, progress_fraction = NULL,
    progress_activity = '', update_time = clock_timestamp()
WHERE study_id = $1 AND generation = $2 AND state IN ('pending', 'running')
RETURNING stage_id::text, series_id::text, name, generation, correlation_id;

-- end_open_attempts: end attempts of stages that were taken away from them
UPDATE workflow.attempt SET outcome = $2, end_time = clock_timestamp()
WHERE stage_id = ANY($1::uuid[]) AND outcome = '';

-- supersede_unsettled: a new generation takes the place of what was not settled
UPDATE workflow.stage
SET state = 'superseded', queued = false, turn = turn + 1, current_attempt_id = NULL,
    next_attempt_time = NULL, progress_fraction = NULL, progress_activity = '',
    update_time = clock_timestamp()
WHERE study_id = $1 AND generation < $2 AND state IN ('pending', 'running', 'held')
RETURNING stage_id::text, series_id::text, name, generation, correlation_id;

-- supersede_settled: the plan of a new generation takes the place of older outcomes
UPDATE workflow.stage SET state = 'superseded', update_time = clock_timestamp()
WHERE study_id = $1 AND generation < $2 AND state IN ('done', 'refused')
RETURNING stage_id::text, series_id::text, name, generation, correlation_id;

-- count_states: stages of a generation by state, and whether any was attempted
SELECT state, count(*) AS count, bool_or(attempt_count > 0) AS begun FROM workflow.stage
WHERE study_id = $1 AND generation = $2 GROUP BY state;

-- insert_result_blobs: which blobs belong to a study's results
INSERT INTO workflow.result_blob (study_id, stage_id, sha256, size_bytes, media_type)
SELECT $1, $2, t.sha256, t.size_bytes, t.media_type
FROM unnest($3::text[], $4::bigint[], $5::text[]) AS t (sha256, size_bytes, media_type)
ON CONFLICT DO NOTHING;

-- result_blob: a blob that belongs to a study's results
SELECT size_bytes, media_type FROM workflow.result_blob WHERE study_id = $1 AND sha256 = $2;

-- results_of_generation: results of a generation
SELECT name, series_id::text, state, result, result_type, reason_code, reason_text
FROM workflow.stage WHERE study_id = $1 AND generation = $2 AND state IN ('done', 'refused')
ORDER BY name, series_id;

-- attempts_of_stages: attempts, oldest first
SELECT attempt_id::text, stage_id::text, number, worker, start_time, end_time, outcome,
       error_reason, service_version
FROM workflow.attempt WHERE stage_id = ANY($1::uuid[]) ORDER BY stage_id, number;

-- dependencies_of_stages: what stages depend on
SELECT stage_id::text, depends_on::text FROM workflow.stage_dependency
WHERE stage_id = ANY($1::uuid[]) ORDER BY stage_id, depends_on;

-- page_of_stages: stages, the latest changed first
SELECT * FROM workflow.stage_head
WHERE ($2::text IS NULL OR state = $2) AND ($3::uuid IS NULL OR study_id = $3)
  AND ($4::timestamptz IS NULL OR (update_time, stage_id) < ($4, $5::uuid))
ORDER BY update_time DESC, stage_id DESC LIMIT $1;

-- stages_ahead: how many queued stages come before one, at most 1000
SELECT count(*) FROM (
    SELECT FROM workflow.stage
    WHERE state = 'pending' AND queued AND (next_attempt_time IS NULL OR next_attempt_time <= now())
      AND (rank > $1 OR (rank = $1 AND queue_time < $2)) LIMIT 1000) AS ahead;

-- count_stages: all stages by state
SELECT state, count(*) AS count FROM workflow.stage GROUP BY state;

-- count_studies: all studies by state
SELECT state, count(*) AS count FROM archive.study GROUP BY state;

-- oldest_pending: when the oldest waiting stage was made
SELECT min(create_time) FROM workflow.stage WHERE state = 'pending';

-- set_study_priority: how soon a study's work is taken
UPDATE archive.study SET priority = $2 WHERE study_id = $1;

-- set_stage_priority: the same for its stages
UPDATE workflow.stage SET priority = $3
WHERE study_id = $1 AND generation = $2 AND state IN ('pending', 'running');

-- unqueue_stages: let queued stages be queued anew
UPDATE workflow.stage SET queued = false
WHERE study_id = $1 AND generation = $2 AND state = 'pending' AND queued
  AND next_attempt_time IS NULL;

-- request_analysis: remember what a person asked for
INSERT INTO workflow.requested_analysis (study_id, series_id, model, version)
SELECT $1, t.series_id, $3, $4 FROM unnest($2::uuid[]) AS t (series_id)
ON CONFLICT (study_id, series_id, model) DO UPDATE SET version = excluded.version;

-- requested_analyses: what people asked for
SELECT series_id::text, model, version FROM workflow.requested_analysis WHERE study_id = $1;

-- instance_hashes: hashes of all instances of a study by series
SELECT series_id::text, array_agg(sha256) AS sha256s FROM archive.instance
WHERE study_id = $1 GROUP BY series_id;

-- first_instances: attributes of the instance with the lowest number of each series
SELECT DISTINCT ON (series_id) series_id::text, attributes FROM archive.instance
WHERE study_id = $1 ORDER BY series_id, instance_number NULLS LAST, instance_id;

-- arrivals: how studies arrive and what was said of them; $2: also of those that have arrived
SELECT s.study_id::text, s.state, s.priority, s.generation, s.evidence, s.instance_count,
       s.last_receive_time,
       extract(epoch FROM now() - s.last_receive_time)::double precision AS quiet_s,
       a.open_count, a.all_released,
       coalesce(m.announced_count, 0)::integer AS announced_count,
       coalesce(m.present_count, 0)::integer AS present_count,
       m.open_step_count::integer AS open_step_count,
       coalesce(c.source_count, 0) AS source_count,
       greatest(m.said_time, c.said_time) AS said_time
FROM archive.study AS s
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE b.open) AS open_count,
           coalesce(bool_and(NOT b.open AND b.released), false) AS all_released
    FROM archive.association AS b
    WHERE b.study_id = s.study_id AND b.generation = s.generation
) AS a
CROSS JOIN LATERAL (
    WITH mine AS MATERIALIZED (
        SELECT manifest_id, open, update_time FROM workflow.manifest
        WHERE study_instance_uid = s.study_instance_uid AND (s.state = 'receiving' OR $2)
    ), named AS (
        SELECT i.series_instance_uid, count(DISTINCT i.sop_instance_uid) AS wanted,
               count(DISTINCT h.sop_instance_uid) AS present
        FROM mine JOIN workflow.manifest_instance AS i USING (manifest_id)
        LEFT JOIN archive.instance AS h
            ON h.sop_instance_uid = i.sop_instance_uid AND h.study_id = s.study_id
        GROUP BY i.series_instance_uid
    ), counted AS (
        SELECT n.series_instance_uid, max(n.instance_count) AS wanted,
               coalesce(max(h.instance_count), 0) AS present
        FROM mine JOIN workflow.manifest_series AS n USING (manifest_id)
        LEFT JOIN archive.series AS h
            ON h.study_id = s.study_id AND h.series_instance_uid = n.series_instance_uid
        GROUP BY n.series_instance_uid
    ), series AS (
        SELECT greatest(n.wanted, c.wanted) AS wanted,
               CASE WHEN n.wanted IS NULL OR c.wanted > n.wanted THEN least(c.present, c.wanted)
                    ELSE n.present END AS present
        FROM named AS n FULL JOIN counted AS c USING (series_instance_uid)
    )
    SELECT (SELECT sum(wanted) FROM series) AS announced_count,
           (SELECT sum(present) FROM series) AS present_count,
           count(*) FILTER (WHERE open) AS open_step_count, max(update_time) AS said_time
    FROM mine
) AS m
CROSS JOIN LATERAL (
    SELECT max(instance_count) AS source_count, max(update_time) AS said_time
    FROM workflow.confirmed_count WHERE study_instance_uid = s.study_instance_uid
) AS c
WHERE s.study_id = ANY($1::uuid[]);

-- arriving_ids: studies that may be complete by now: quiet for a while, or announced
SELECT s.study_id::text, s.last_receive_time, said.time AS said_time,
       now() - s.last_receive_time AS quiet
FROM archive.study AS s
CROSS JOIN LATERAL (
    SELECT greatest(
        (SELECT max(m.update_time) FROM workflow.manifest AS m
         WHERE m.study_instance_uid = s.study_instance_uid),
        (SELECT max(c.update_time) FROM workflow.confirmed_count AS c
         WHERE c.study_instance_uid = s.study_instance_uid)) AS time
) AS said
WHERE s.state = 'receiving' AND ($3::uuid IS NULL OR s.study_id > $3)
  AND (s.last_receive_time <= now() - $1::interval OR said.time IS NOT NULL)
ORDER BY s.study_id LIMIT $2;

-- unconfirmed: studies that are arriving and quiet for a while, and who brought them by DIMSE
SELECT s.study_id::text, s.study_instance_uid, s.instance_count, s.last_receive_time,
       array_agg(DISTINCT i.calling_ae_title) AS ae_titles
FROM archive.study AS s
JOIN archive.association AS a ON a.study_id = s.study_id
JOIN intake.association AS i USING (association_id)
WHERE s.state = 'receiving' AND s.last_receive_time <= now() - $1::interval
  AND i.calling_ae_title <> ''
GROUP BY s.study_id ORDER BY s.last_receive_time DESC LIMIT $2;

-- lock_arriving: hold studies to which nothing came meanwhile; those that others hold are left out
SELECT s.study_id::text FROM archive.study AS s
JOIN unnest($1::uuid[], $2::timestamptz[]) AS seen (study_id, last_receive_time)
    ON s.study_id = seen.study_id AND s.last_receive_time = seen.last_receive_time
WHERE s.state = 'receiving'
FOR UPDATE OF s SKIP LOCKED;

-- study_by_uid: our id of a study
SELECT study_id::text FROM archive.study WHERE study_instance_uid = $1;

-- strengthen_evidence: a better reason why a study that has arrived is complete
UPDATE archive.study SET evidence = $2 WHERE study_id = $1 AND state <> 'receiving';

-- put_manifest: what is said of a study under a name, in place of what was said before
INSERT INTO workflow.manifest (manifest_id, study_instance_uid, name, open)
VALUES ($1, $2, $3, $4)
ON CONFLICT (study_instance_uid, name) DO UPDATE
SET open = excluded.open, update_time = clock_timestamp()
RETURNING manifest_id;

-- clear_manifest_series: forget what was said before
DELETE FROM workflow.manifest_series WHERE manifest_id = $1;

-- clear_manifest_instances: forget what was said before
DELETE FROM workflow.manifest_instance WHERE manifest_id = $1;

-- put_manifest_series: series of which only the number of instances is known
INSERT INTO workflow.manifest_series (manifest_id, series_instance_uid, instance_count)
SELECT $1, t.series_instance_uid, t.instance_count
FROM unnest($2::text[], $3::integer[]) AS t (series_instance_uid, instance_count);

-- put_manifest_instances: instances by name
INSERT INTO workflow.manifest_instance (manifest_id, sop_instance_uid, series_instance_uid)
SELECT $1, t.sop_instance_uid, t.series_instance_uid
FROM unnest($2::text[], $3::text[]) AS t (sop_instance_uid, series_instance_uid)
ON CONFLICT DO NOTHING;

-- put_confirmed_count: how many instances a source says it has
INSERT INTO workflow.confirmed_count (study_instance_uid, source, instance_count)
VALUES ($1, $2, $3)
ON CONFLICT (study_instance_uid, source) DO UPDATE
SET instance_count = excluded.instance_count, update_time = clock_timestamp();

-- latest_counts: stages of the latest generation of studies: all, settled, and which of them move
SELECT s.study_id::text, g.stages, g.settled, coalesce(g.moving, '{}') AS moving
FROM archive.study AS s
CROSS JOIN LATERAL (
    SELECT count(*) AS stages, count(*) FILTER (WHERE state IN ('done', 'refused')) AS settled,
           array_agg(stage_id) FILTER (
               WHERE state IN ('running', 'held')
                  OR state = 'pending' AND (queued OR next_attempt_time IS NOT NULL)) AS moving
    FROM workflow.stage AS one
    WHERE one.study_id = s.study_id AND one.generation = s.generation
) AS g
WHERE s.study_id = ANY($1::uuid[]);

-- stages_by_id: some stages
SELECT * FROM workflow.stage_head WHERE stage_id = ANY($1::uuid[]);

-- head_of_queue: the first 1000 queued stages
SELECT rank, queue_time FROM workflow.stage
WHERE state = 'pending' AND queued AND (next_attempt_time IS NULL OR next_attempt_time <= now())
ORDER BY rank DESC, queue_time LIMIT 1000;

-- study_versions: what changes whenever something is new about studies that are watched
SELECT s.study_id::text, s.state, s.generation, s.priority, s.instance_count, s.evidence,
       (SELECT max(greatest(g.update_time, g.progress_time)) FROM workflow.stage AS g
        WHERE g.study_id = s.study_id) AS change_time,
       (SELECT max(m.update_time) FROM workflow.manifest AS m
        WHERE m.study_instance_uid = s.study_instance_uid) AS manifest_time,
       (SELECT max(c.update_time) FROM workflow.confirmed_count AS c
        WHERE c.study_instance_uid = s.study_instance_uid) AS count_time,
       (SELECT count(*) FROM archive.association AS a
        WHERE a.study_id = s.study_id AND a.open) AS open_count
FROM archive.study AS s WHERE s.study_id = ANY($1::uuid[]);

-- tidy_queue_log: forget what the queue logged long ago
DELETE FROM workflow.pgqueuer_log WHERE created < now() - $1::interval;

-- work_contents: how much there is of a study, and whether work on it waits or runs
SELECT (SELECT count(*) FROM workflow.result_blob WHERE study_id = $1)::integer AS result_count,
       (SELECT coalesce(sum(size_bytes), 0) FROM workflow.result_blob
        WHERE study_id = $1)::bigint AS size_bytes,
       EXISTS (SELECT FROM workflow.stage
               WHERE study_id = $1 AND state IN ('pending', 'running')) AS busy;

-- delete_result_blobs: forget the files of a study's results
DELETE FROM workflow.result_blob WHERE study_id = $1;

-- delete_requested_analyses: forget what people asked for
DELETE FROM workflow.requested_analysis WHERE study_id = $1;

-- forget_manifests: what was said of studies that never came
DELETE FROM workflow.manifest AS m
WHERE m.update_time < now() - $1::interval AND NOT EXISTS (
    SELECT FROM archive.study AS s WHERE s.study_instance_uid = m.study_instance_uid)
RETURNING m.manifest_id;

-- forget_confirmed_counts: what sources said of studies that never came
DELETE FROM workflow.confirmed_count AS c
WHERE c.update_time < now() - $1::interval AND NOT EXISTS (
    SELECT FROM archive.study AS s WHERE s.study_instance_uid = c.study_instance_uid)
RETURNING c.study_instance_uid;

-- delete_manifests: forget what was said of a study; its row is there still
DELETE FROM workflow.manifest WHERE study_instance_uid IN (
    SELECT study_instance_uid FROM archive.study WHERE study_id = $1);

-- delete_confirmed_counts: forget what sources said of a study; its row is there still
DELETE FROM workflow.confirmed_count WHERE study_instance_uid IN (
    SELECT study_instance_uid FROM archive.study WHERE study_id = $1);

-- delete_plans: forget the plans of a study
DELETE FROM workflow.plan WHERE study_id = $1;

-- delete_attempts: forget the attempts at a study's stages
DELETE FROM workflow.attempt
WHERE stage_id IN (SELECT stage_id FROM workflow.stage WHERE study_id = $1);

-- delete_dependencies: forget what a study's stages depend on
DELETE FROM workflow.stage_dependency
WHERE stage_id IN (SELECT stage_id FROM workflow.stage WHERE study_id = $1);

-- delete_stages: forget the stages of a study
DELETE FROM workflow.stage WHERE study_id = $1;
