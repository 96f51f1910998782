-- insert_entry: keep a call; nothing happens when it is kept already
INSERT INTO audit.entry
    (entry_id, begin_time, subject, method, action, service, correlation_id, object_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (entry_id) DO NOTHING;

-- insert_outcome: keep how a call ended; the first outcome stays. A call that only looked does not
-- wait for the disk a second time: its entry is there, and a crash leaves at most the end unknown.
WITH looked AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true) FROM audit.entry
    WHERE entry_id = $1::uuid
      AND action IN ('search', 'read', 'fetch', 'read_audit', 'search_peer', 'search_worklist')
)
INSERT INTO audit.outcome (entry_id, end_time, code, reason)
SELECT $1::uuid, $2::timestamptz, $3::text, $4::text FROM (SELECT count(*) FROM looked) AS done
ON CONFLICT (entry_id) DO NOTHING;

-- list_calls: calls, newest first, before an id, by subject, action and object where given
SELECT entry.entry_id, entry.begin_time, entry.subject, entry.method, entry.action, entry.service,
    entry.correlation_id, entry.object_id, outcome.end_time, outcome.code, outcome.reason
FROM audit.entry
LEFT JOIN audit.outcome ON outcome.entry_id = entry.entry_id
WHERE ($1::uuid IS NULL OR entry.entry_id < $1)
    AND ($2::text IS NULL OR entry.subject = $2)
    AND ($3::text IS NULL OR entry.action = $3)
    AND ($4::uuid IS NULL OR entry.object_id = $4)
ORDER BY entry.entry_id DESC
LIMIT $5;
