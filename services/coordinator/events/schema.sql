-- Tables of events as all migrations together leave them; compared in tests.
CREATE SCHEMA IF NOT EXISTS events;

-- Written in the transaction of whoever caused the event; the relay gives committed rows their
-- cursor.
CREATE TABLE events.event (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cursor bigint,
    type text NOT NULL,
    occur_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    study_id uuid NOT NULL,
    series_id uuid,
    stage_id uuid,
    stage_name text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT '',
    generation integer NOT NULL DEFAULT 0,
    correlation_id text NOT NULL DEFAULT ''
);

CREATE UNIQUE INDEX event_by_cursor ON events.event (cursor) WHERE cursor IS NOT NULL;
CREATE INDEX event_without_cursor ON events.event (event_id) WHERE cursor IS NULL;
CREATE INDEX event_by_study ON events.event (study_id, cursor);

-- One row: the last cursor given and the last one whose event was removed.
CREATE TABLE events.position (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    last_cursor bigint NOT NULL,
    expired_cursor bigint NOT NULL
);

INSERT INTO events.position (last_cursor, expired_cursor) VALUES (0, 0);
