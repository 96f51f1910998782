-- Tables of crosswalk as all migrations together leave them; compared in tests.
CREATE SCHEMA IF NOT EXISTS crosswalk;

-- A pseudonym and who stands behind it, which the project's key alone opens. Stays when the study
-- it came from is deleted.
CREATE TABLE crosswalk.link (
    project_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('patient', 'study', 'series')),
    pseudonym text NOT NULL,
    sealed bytea NOT NULL,
    -- Keyed by the project's key: tells nothing without it.
    patient_tag text NOT NULL,
    key_version integer NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, kind, pseudonym)
);

CREATE INDEX link_by_tag ON crosswalk.link (project_id, patient_tag) WHERE kind = 'patient';

-- Who asked to be told, and who agreed.
CREATE TABLE crosswalk.reidentification (
    reidentification_id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('patient', 'study', 'series')),
    pseudonym text NOT NULL,
    reason text NOT NULL,
    requested_by text NOT NULL,
    request_time timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL CHECK (state IN ('waiting', 'agreed', 'refused')),
    decided_by text NOT NULL DEFAULT '',
    -- Until when it may be agreed, or told.
    expire_time timestamptz NOT NULL,
    told_count integer NOT NULL DEFAULT 0,
    CHECK (decided_by <> requested_by)
);

CREATE INDEX reidentification_by_time
ON crosswalk.reidentification (request_time DESC, reidentification_id DESC);
