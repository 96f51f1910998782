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

-- arrivals: state of studies, seconds since their last instance came, and open associations
SELECT s.study_id::text, s.state, s.priority,
       extract(epoch FROM now() - s.last_receive_time)::double precision AS quiet_s,
       count(a.association_id) FILTER (WHERE a.open) AS open_count,
       coalesce(bool_and(NOT a.open AND a.released), false) AS all_released
FROM archive.study AS s
LEFT JOIN archive.association AS a ON a.study_id = s.study_id AND a.generation = s.generation
WHERE s.study_id = ANY($1::uuid[])
GROUP BY s.study_id;

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
SELECT s.study_id::text, s.state, s.generation, s.priority, s.instance_count,
       (SELECT max(greatest(g.update_time, g.progress_time)) FROM workflow.stage AS g
        WHERE g.study_id = s.study_id) AS change_time
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
