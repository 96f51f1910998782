CREATE SCHEMA IF NOT EXISTS storage;

-- Rounds of collecting garbage.
CREATE TABLE storage.collection (
    collection_id uuid PRIMARY KEY,
    dry_run boolean NOT NULL,
    begin_time timestamptz NOT NULL DEFAULT now(),
    end_time timestamptz,
    failed boolean NOT NULL DEFAULT false,
    -- First two digits of the hashes that are looked at next.
    prefix text NOT NULL DEFAULT '00',
    examined_count bigint NOT NULL DEFAULT 0,
    set_aside_count bigint NOT NULL DEFAULT 0,
    set_aside_bytes bigint NOT NULL DEFAULT 0,
    restored_count bigint NOT NULL DEFAULT 0,
    deleted_count bigint NOT NULL DEFAULT 0,
    deleted_bytes bigint NOT NULL DEFAULT 0,
    young_count bigint NOT NULL DEFAULT 0
);

CREATE INDEX collection_by_time ON storage.collection (begin_time DESC);

-- Rounds of reading everything again.
CREATE TABLE storage.scrub (
    scrub_id uuid PRIMARY KEY,
    begin_time timestamptz NOT NULL DEFAULT now(),
    end_time timestamptz,
    rate_bytes bigint NOT NULL,
    -- What is read now: instance, conflict or result, and the last one read of these.
    kind text NOT NULL DEFAULT 'instance' CHECK (kind IN ('instance', 'conflict', 'result')),
    last_key text NOT NULL DEFAULT '',
    total_count bigint NOT NULL DEFAULT 0,
    checked_count bigint NOT NULL DEFAULT 0,
    checked_bytes bigint NOT NULL DEFAULT 0,
    corrupt_count bigint NOT NULL DEFAULT 0,
    missing_count bigint NOT NULL DEFAULT 0
);

CREATE INDEX scrub_by_time ON storage.scrub (begin_time DESC);

-- Blobs that were not what they should be when they were last read.
CREATE TABLE storage.damage (
    study_id uuid NOT NULL,
    sha256 text NOT NULL,
    instance_id uuid,
    kind text NOT NULL CHECK (kind IN ('corrupt', 'missing')),
    find_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (study_id, sha256)
);

CREATE INDEX damage_by_time ON storage.damage (find_time DESC);

-- When a round begins next; whoever moves the time on has the turn.
CREATE TABLE storage.schedule (
    task text PRIMARY KEY,
    next_time timestamptz NOT NULL
);
