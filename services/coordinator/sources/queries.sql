-- insert_source: register a source, due at once
INSERT INTO sources.source (source_id, name, kind, spec, reconcile_request_time)
VALUES ($1, $2, $3, $4::jsonb, now())
RETURNING source_id, name, kind, spec, cursor, paused, next_run_time, request_time, turn_id,
    turn_expire_time, last_run_time, last_success_time, failure, failures, progress, last_studies,
    last_stored, last_known, last_refused, total_studies, total_stored, total_known, total_refused,
    create_time, update_time, now() AS read_time;

-- update_source: replace what is registered; where it stands goes when $5 says so
UPDATE sources.source
SET name = $2, kind = $3, spec = $4::jsonb, update_time = now(),
    cursor = CASE WHEN $5::boolean THEN '' ELSE cursor END,
    reconcile_request_time = CASE WHEN $5::boolean THEN now() ELSE reconcile_request_time END,
    turn_id = CASE WHEN $5::boolean THEN NULL ELSE turn_id END,
    turn_expire_time = CASE WHEN $5::boolean THEN NULL ELSE turn_expire_time END,
    next_run_time = least(next_run_time, $6)
WHERE source_id = $1
RETURNING source_id, name, kind, spec, cursor, paused, next_run_time, request_time, turn_id,
    turn_expire_time, last_run_time, last_success_time, failure, failures, progress, last_studies,
    last_stored, last_known, last_refused, total_studies, total_stored, total_known, total_refused,
    create_time, update_time, now() AS read_time;

-- delete_source: forget a source and what it was noticed of
DELETE FROM sources.source WHERE source_id = $1;

-- list_sources: every source by name
SELECT source_id, name, kind, spec, cursor, paused, next_run_time, request_time, turn_id,
    turn_expire_time, last_run_time, last_success_time, failure, failures, progress, last_studies,
    last_stored, last_known, last_refused, total_studies, total_stored, total_known, total_refused,
    create_time, update_time, now() AS read_time
FROM sources.source
ORDER BY name;

-- source_by_id: one source
SELECT source_id, name, kind, spec, cursor, paused, next_run_time, request_time, turn_id,
    turn_expire_time, last_run_time, last_success_time, failure, failures, progress, last_studies,
    last_stored, last_known, last_refused, total_studies, total_stored, total_known, total_refused,
    create_time, update_time, now() AS read_time
FROM sources.source
WHERE source_id = $1;

-- lock_source: one source, until the end of the transaction
SELECT source_id, name, kind, spec, cursor, paused, next_run_time, request_time, turn_id,
    turn_expire_time, last_run_time, last_success_time, failure, failures, progress, last_studies,
    last_stored, last_known, last_refused, total_studies, total_stored, total_known, total_refused,
    create_time, update_time, now() AS read_time
FROM sources.source
WHERE source_id = $1
FOR UPDATE;

-- source_by_name: one source
SELECT source_id, name, kind, spec, cursor, paused, next_run_time, request_time, turn_id,
    turn_expire_time, last_run_time, last_success_time, failure, failures, progress, last_studies,
    last_stored, last_known, last_refused, total_studies, total_stored, total_known, total_refused,
    create_time, update_time, now() AS read_time
FROM sources.source
WHERE name = $1;

-- pause_source: stop or resume the schedule
UPDATE sources.source
SET paused = $2,
    pause_time = CASE WHEN $2 AND NOT paused THEN now() WHEN $2 THEN pause_time END,
    request_time = CASE WHEN $2 THEN NULL ELSE request_time END,
    update_time = now()
WHERE source_id = $1
RETURNING source_id, name, kind, spec, cursor, paused, next_run_time, request_time, turn_id,
    turn_expire_time, last_run_time, last_success_time, failure, failures, progress, last_studies,
    last_stored, last_known, last_refused, total_studies, total_stored, total_known, total_refused,
    create_time, update_time, now() AS read_time;

-- request_source: make a source due now
UPDATE sources.source
SET request_time = clock_timestamp(),
    reconcile_request_time = CASE WHEN $2 THEN clock_timestamp() ELSE reconcile_request_time END
WHERE source_id = $1
RETURNING source_id, name, kind, spec, cursor, paused, next_run_time, request_time, turn_id,
    turn_expire_time, last_run_time, last_success_time, failure, failures, progress, last_studies,
    last_stored, last_known, last_refused, total_studies, total_stored, total_known, total_refused,
    create_time, update_time, now() AS read_time;

-- orthancs: at most two of the Orthancs that a notice may mean
SELECT source_id FROM sources.source
WHERE kind = 'orthanc' AND ($1 = '' OR name = $1)
LIMIT 2;

-- insert_notice: note a study that a webhook told of
INSERT INTO sources.notice (source_id, orthanc_id, notice_time)
VALUES ($1, $2, clock_timestamp())
ON CONFLICT (source_id, orthanc_id) DO UPDATE SET notice_time = excluded.notice_time;

-- take_turn: give the source that is longest due to one gateway
UPDATE sources.source AS taken
SET turn_id = $1, gateway_id = $2, turn_expire_time = now() + make_interval(secs => $3),
    last_run_time = clock_timestamp(), progress = '',
    last_studies = 0, last_stored = 0, last_known = 0, last_refused = 0
FROM (
    SELECT source_id FROM sources.source
    WHERE (turn_expire_time IS NULL OR turn_expire_time < now())
        AND (request_time IS NOT NULL OR (NOT paused AND next_run_time <= now()))
    ORDER BY request_time NULLS LAST, next_run_time
    FOR UPDATE SKIP LOCKED
    LIMIT 1
) AS due
WHERE taken.source_id = due.source_id
RETURNING taken.source_id,
    reconcile_request_time IS NOT NULL
        OR (
            (spec ->> 'reconcile_every_h')::integer > 0
            AND reconcile_time < now() - make_interval(hours => (spec ->> 'reconcile_every_h')::integer)
        ) AS reconcile;

-- notices: what a webhook told of, the oldest first
SELECT orthanc_id FROM sources.notice
WHERE source_id = $1
ORDER BY notice_time
LIMIT 1000;

-- keep_turn: keep what a turn did so far, and the turn; no row when it is lost
UPDATE sources.source
SET turn_expire_time = now() + make_interval(secs => $3),
    cursor = coalesce($4, cursor), progress = $5,
    last_studies = $6, last_stored = $7, last_known = $8, last_refused = $9
WHERE source_id = $1 AND turn_id = $2
RETURNING paused AND pause_time > last_run_time AS stop;

-- end_turn: keep how a turn ended; no row when it is lost
UPDATE sources.source
SET turn_id = NULL, gateway_id = NULL, turn_expire_time = NULL, last_turn_id = $2,
    cursor = coalesce($3, cursor), progress = '',
    last_studies = $4, last_stored = $5, last_known = $6, last_refused = $7,
    total_studies = total_studies + $4, total_stored = total_stored + $5,
    total_known = total_known + $6, total_refused = total_refused + $7,
    failure = $8, failures = CASE WHEN $8 = '' THEN 0 ELSE failures + 1 END,
    last_success_time = CASE WHEN $8 = '' THEN now() ELSE last_success_time END,
    next_run_time = $9,
    request_time = CASE WHEN request_time > last_run_time THEN request_time END,
    reconcile_time = CASE WHEN $10 THEN now() ELSE reconcile_time END,
    reconcile_request_time = CASE
        WHEN $10 AND reconcile_request_time <= last_run_time THEN NULL
        ELSE reconcile_request_time
    END
WHERE source_id = $1 AND turn_id = $2
RETURNING true;

-- ended_before: whether a turn was the last that ended
SELECT true FROM sources.source WHERE source_id = $1 AND last_turn_id = $2;

-- delete_notices: forget what is done, unless it was told of again since
DELETE FROM sources.notice AS done
USING sources.source AS of_source
WHERE done.source_id = $1 AND of_source.source_id = $1 AND done.orthanc_id = ANY($2::text[])
    AND done.notice_time <= of_source.last_run_time;
