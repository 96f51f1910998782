-- append_events: write events and wake the relay
WITH written AS (
    INSERT INTO events.event
        (type, study_id, series_id, stage_id, stage_name, state, generation, correlation_id)
    SELECT type, study_id, series_id, stage_id, stage_name, state, generation, correlation_id
    FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[],
                $7::integer[], $8::text[])
         WITH ORDINALITY
         AS draft (type, study_id, series_id, stage_id, stage_name, state, generation,
                   correlation_id, position)
    ORDER BY position
)
SELECT pg_notify('heimdallr_outbox', '');

-- try_relay: whether this transaction is the one that gives cursors
SELECT pg_try_advisory_xact_lock(5207100001);

-- relay: give committed events the next cursors, in order
WITH waiting AS (
    SELECT event_id, row_number() OVER (ORDER BY event_id) AS place
    FROM (SELECT event_id FROM events.event WHERE cursor IS NULL
          ORDER BY event_id LIMIT $1) AS first
), moved AS (
    UPDATE events.position
    SET last_cursor = last_cursor + (SELECT count(*) FROM waiting)
    WHERE EXISTS (SELECT FROM waiting)
    RETURNING last_cursor, last_cursor - (SELECT count(*) FROM waiting) AS before
), given AS (
    UPDATE events.event AS e SET cursor = moved.before + waiting.place
    FROM waiting, moved WHERE e.event_id = waiting.event_id
)
SELECT (SELECT count(*) FROM waiting) AS relayed,
       pg_notify('heimdallr_events', last_cursor::text)
FROM moved;

-- expire: remove events older than the retention, oldest first
WITH old AS (
    DELETE FROM events.event WHERE event_id IN (
        SELECT event_id FROM events.event
        WHERE cursor IS NOT NULL AND occur_time < now() - $1::interval
          AND cursor <= (SELECT expired_cursor FROM events.position) + $2
        ORDER BY cursor)
    RETURNING cursor
)
UPDATE events.position SET expired_cursor = greatest(expired_cursor, (SELECT max(cursor) FROM old))
WHERE EXISTS (SELECT FROM old)
RETURNING (SELECT count(*) FROM old) AS expired;

-- position: how far the log goes
SELECT last_cursor, expired_cursor FROM events.position;

-- events_after: events after a cursor, in order
SELECT cursor, occur_time, type, study_id, series_id, stage_id, stage_name, state, generation,
       correlation_id
FROM events.event WHERE cursor > $1 AND cursor <= $2 ORDER BY cursor LIMIT $3;

-- study_events_after: events of one study after a cursor, in order
SELECT cursor, occur_time, type, study_id, series_id, stage_id, stage_name, state, generation,
       correlation_id
FROM events.event WHERE study_id = $4 AND cursor > $1 AND cursor <= $2 ORDER BY cursor LIMIT $3;
