CREATE SCHEMA IF NOT EXISTS workflow;

-- One step of the work on a study.
CREATE TABLE workflow.stage (
    stage_id uuid PRIMARY KEY,
    study_id uuid NOT NULL,
    series_id uuid,
    generation integer NOT NULL,
    name text NOT NULL,
    -- Version of the model the plan knew of; empty where there is none.
    version text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'running', 'done', 'held', 'refused', 'superseded')),
    -- 'done' or 'refused' as long as the outcome is valid, also after it was superseded.
    settled_state text CHECK (settled_state IN ('done', 'refused')),
    -- SHA-256 of what goes in, and a hash of what came out.
    input_key text NOT NULL DEFAULT '',
    output_key text NOT NULL DEFAULT '',
    reason_code text NOT NULL DEFAULT '',
    reason_text text NOT NULL DEFAULT '',
    correlation_id text NOT NULL DEFAULT '',
    priority integer NOT NULL DEFAULT 2,
    -- A queued job is valid for one turn: what raises the turn makes older jobs void.
    turn integer NOT NULL DEFAULT 0,
    queued boolean NOT NULL DEFAULT false,
    -- Place in the queue: higher first, then earlier.
    rank integer NOT NULL DEFAULT 0,
    queue_time timestamptz,
    attempt_count integer NOT NULL DEFAULT 0,
    -- Failures since the stage was made or replayed.
    failure_count integer NOT NULL DEFAULT 0,
    -- The one attempt whose result is accepted.
    current_attempt_id uuid,
    next_attempt_time timestamptz,
    progress_fraction double precision,
    progress_activity text NOT NULL DEFAULT '',
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    progress_time timestamptz,
    -- A serialized message and its full name.
    result bytea,
    result_type text NOT NULL DEFAULT ''
);

CREATE UNIQUE INDEX stage_by_name ON workflow.stage
    (study_id, generation, coalesce(series_id, '00000000-0000-0000-0000-000000000000'::uuid), name);
CREATE INDEX stage_by_update ON workflow.stage (update_time DESC, stage_id DESC);
CREATE INDEX stage_by_state ON workflow.stage (state, update_time DESC, stage_id DESC);
CREATE INDEX stage_waiting ON workflow.stage (rank DESC, queue_time)
    WHERE state = 'pending' AND queued;

CREATE VIEW workflow.stage_head AS
SELECT stage_id, study_id, series_id, generation, name, version, state,
       settled_state, input_key, output_key, reason_code, reason_text, correlation_id, priority,
       turn, queued, rank, queue_time, attempt_count, failure_count,
       current_attempt_id, next_attempt_time, progress_fraction, progress_activity,
       create_time, update_time
FROM workflow.stage;

CREATE TABLE workflow.stage_dependency (
    stage_id uuid NOT NULL REFERENCES workflow.stage,
    depends_on uuid NOT NULL REFERENCES workflow.stage,
    PRIMARY KEY (stage_id, depends_on)
);

CREATE INDEX stage_dependency_back ON workflow.stage_dependency (depends_on);

-- One run of a stage.
CREATE TABLE workflow.attempt (
    attempt_id uuid PRIMARY KEY,
    stage_id uuid NOT NULL REFERENCES workflow.stage,
    number integer NOT NULL,
    worker text NOT NULL,
    start_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    end_time timestamptz,
    outcome text NOT NULL DEFAULT ''
        CHECK (outcome IN ('', 'done', 'refused', 'failed', 'fenced', 'cancelled', 'lost')),
    error_reason text NOT NULL DEFAULT '',
    service_version text NOT NULL DEFAULT '',
    UNIQUE (stage_id, number)
);

-- heimdallr.workflow.v1.Plan, serialized.
CREATE TABLE workflow.plan (
    study_id uuid NOT NULL,
    generation integer NOT NULL,
    plan bytea NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (study_id, generation)
);

-- Analyses that a person asked for; they hold for later generations too.
CREATE TABLE workflow.requested_analysis (
    study_id uuid NOT NULL,
    series_id uuid NOT NULL,
    model text NOT NULL,
    version text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (study_id, series_id, model)
);

-- Which blobs belong to results of a study.
CREATE TABLE workflow.result_blob (
    study_id uuid NOT NULL,
    sha256 text NOT NULL,
    stage_id uuid NOT NULL,
    size_bytes bigint NOT NULL,
    media_type text NOT NULL,
    PRIMARY KEY (study_id, sha256)
);
