-- Places that studies are fetched from, how they stand, and who works on them.
CREATE TABLE sources.source (
    source_id uuid PRIMARY KEY,
    name text NOT NULL CONSTRAINT source_name UNIQUE,
    kind text NOT NULL CHECK (kind IN ('watch_folder', 'orthanc', 'qido', 'dimse')),
    -- What is registered beside the name and the kind.
    spec jsonb NOT NULL,
    cursor text NOT NULL DEFAULT '',
    paused boolean NOT NULL DEFAULT false,
    pause_time timestamptz,
    next_run_time timestamptz NOT NULL DEFAULT now(),
    -- By a person or a webhook: due now, whatever the schedule says.
    request_time timestamptz,
    reconcile_request_time timestamptz,
    reconcile_time timestamptz,
    turn_id uuid,
    gateway_id uuid,
    turn_expire_time timestamptz,
    last_turn_id uuid,
    last_run_time timestamptz,
    last_success_time timestamptz,
    failure text NOT NULL DEFAULT '',
    failures integer NOT NULL DEFAULT 0,
    progress text NOT NULL DEFAULT '',
    last_studies bigint NOT NULL DEFAULT 0,
    last_stored bigint NOT NULL DEFAULT 0,
    last_known bigint NOT NULL DEFAULT 0,
    last_refused bigint NOT NULL DEFAULT 0,
    total_studies bigint NOT NULL DEFAULT 0,
    total_stored bigint NOT NULL DEFAULT 0,
    total_known bigint NOT NULL DEFAULT 0,
    total_refused bigint NOT NULL DEFAULT 0,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()
);

-- Studies that an Orthanc's webhook told of, by Orthanc's own ids.
CREATE TABLE sources.notice (
    source_id uuid NOT NULL REFERENCES sources.source ON DELETE CASCADE,
    orthanc_id text NOT NULL,
    notice_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source_id, orthanc_id)
);
