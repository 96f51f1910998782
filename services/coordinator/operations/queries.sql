-- throughput: what was done of late; $1 is the id that an instance of an hour ago would have got
SELECT
    (SELECT count(*) FROM archive.instance WHERE instance_id >= $1::uuid) AS instances_last_hour,
    (SELECT count(DISTINCT stage.study_id)
     FROM workflow.stage AS stage JOIN archive.study AS study USING (study_id)
     WHERE stage.state IN ('done', 'refused') AND stage.name = 'report'
       AND stage.update_time >= now() - interval '1 hour'
       AND study.state = 'ready') AS studies_ready_last_hour,
    (SELECT count(*) FROM archive.study
     WHERE first_receive_time >= date_trunc('day', now(), 'UTC')) AS studies_today;

-- table_pages: pages of the tables whose bytes are summed
SELECT pg_relation_size('archive.instance') / 8192 AS instance_pages,
       pg_relation_size('workflow.result_blob') / 8192 AS result_pages;

-- stored_bytes: bytes of instances and results, from a share of the pages in percent
SELECT
    (SELECT coalesce(sum(size_bytes), 0) * 100 / $1::float8
     FROM archive.instance TABLESAMPLE SYSTEM ($1::float4))::bigint AS instance_bytes,
    (SELECT coalesce(sum(size_bytes), 0) * 100 / $2::float8
     FROM workflow.result_blob TABLESAMPLE SYSTEM ($2::float4))::bigint AS result_bytes;

-- server_version: version of the database
SELECT current_setting('server_version');

-- studies_by_state: all studies by state
SELECT state, count(*) AS count FROM archive.study GROUP BY state;

-- open_stages: stages that are not settled, by state and kind; the rest may be many
SELECT state, split_part(name, ':', 1) AS kind, count(*) AS count
FROM workflow.stage WHERE state IN ('pending', 'running', 'held')
GROUP BY state, split_part(name, ':', 1);

-- sources_by_health: all sources by kind and by how their last turn ended
SELECT kind,
       CASE WHEN paused THEN 'paused' WHEN failures > 0 THEN 'failing' ELSE 'healthy' END AS health,
       count(*) AS count
FROM sources.source GROUP BY 1, 2;

-- queue: how many stages could begin, and how long the first of them has waited, in seconds
SELECT count(*) AS depth,
       coalesce(extract(epoch FROM now() - min(coalesce(next_attempt_time, queue_time))), 0)
           ::double precision AS oldest_s
FROM workflow.stage
WHERE state = 'pending' AND queued AND (next_attempt_time IS NULL OR next_attempt_time <= now());
