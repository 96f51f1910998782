CREATE SCHEMA IF NOT EXISTS retention;

-- Which studies are deleted by themselves, and when.
CREATE TABLE retention.rule (
    name text PRIMARY KEY CHECK (name ~ '^[a-z0-9_-]{1,64}$'),
    -- Empty: any. Else every modality of the study is one of these.
    modalities text[] NOT NULL,
    age_basis text NOT NULL CHECK (age_basis IN ('received', 'study_date')),
    age_days integer NOT NULL CHECK (age_days BETWEEN 1 AND 36500),
    enabled boolean NOT NULL,
    update_time timestamptz NOT NULL DEFAULT now(),
    apply_time timestamptz,
    deleted_count bigint NOT NULL DEFAULT 0
);

-- Studies that nothing deletes until they are released.
CREATE TABLE retention.hold (
    study_id uuid PRIMARY KEY,
    reason text NOT NULL,
    subject text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX hold_by_time ON retention.hold (create_time DESC);

-- What was deleted: our ids and numbers, nothing of the patient.
CREATE TABLE retention.deletion (
    study_id uuid PRIMARY KEY,
    -- Empty when a person did it.
    rule_name text NOT NULL,
    subject text NOT NULL,
    instance_count integer NOT NULL,
    size_bytes bigint NOT NULL,
    delete_time timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX deletion_by_time ON retention.deletion (delete_time);

-- When rules are applied next; whoever moves the time on has the turn.
CREATE TABLE retention.schedule (
    task text PRIMARY KEY,
    next_time timestamptz NOT NULL
);
