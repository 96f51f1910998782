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
