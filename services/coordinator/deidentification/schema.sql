-- Tables of deidentification as all migrations together leave them; compared in tests.
CREATE SCHEMA IF NOT EXISTS deidentification;

-- Who gets pseudonyms under one key, and what is taken out for them.
CREATE TABLE deidentification.project (
    project_id uuid PRIMARY KEY,
    name text NOT NULL CONSTRAINT project_name UNIQUE,
    description text NOT NULL,
    -- heimdallr.deid.v1.Profile, serialized, with the project's rules.
    profile bytea NOT NULL,
    -- Changes with what the profile does.
    profile_key text NOT NULL,
    two_persons boolean NOT NULL,
    -- Id of the key and its newest version known here; empty and 0 until the first object.
    key_id text NOT NULL DEFAULT '',
    key_version integer NOT NULL DEFAULT 0,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()
);

-- What is to be de-identified; holds for later generations of the study too.
CREATE TABLE deidentification.request (
    study_id uuid NOT NULL,
    project_id uuid NOT NULL REFERENCES deidentification.project,
    -- NULL: every series, later ones too.
    series_id uuid,
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX request_once ON deidentification.request
    (study_id, project_id, coalesce(series_id, '00000000-0000-0000-0000-000000000000'::uuid));
CREATE INDEX request_by_project ON deidentification.request (project_id, study_id);

-- A series that was de-identified for a project.
CREATE TABLE deidentification.series (
    deidentification_id uuid PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES deidentification.project,
    study_id uuid NOT NULL,
    series_id uuid NOT NULL,
    modality text NOT NULL,
    pseudonym text NOT NULL DEFAULT '',
    -- Keyed by the project's key: tells nothing without it.
    patient_tag text NOT NULL DEFAULT '',
    key_version integer NOT NULL DEFAULT 0,
    new_study_uid text NOT NULL DEFAULT '',
    released_count integer NOT NULL DEFAULT 0,
    held_count integer NOT NULL DEFAULT 0,
    approved_count integer NOT NULL DEFAULT 0,
    rejected_count integer NOT NULL DEFAULT 0,
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (project_id, series_id)
);

CREATE INDEX series_by_study ON deidentification.series (study_id);
CREATE INDEX series_by_update
ON deidentification.series (update_time DESC, deidentification_id DESC);
CREATE INDEX series_of_project
ON deidentification.series (project_id, update_time DESC, deidentification_id DESC);

-- What became of an instance of such a series.
CREATE TABLE deidentification.object (
    deidentification_id uuid NOT NULL REFERENCES deidentification.series,
    instance_id uuid NOT NULL,
    instance_number integer NOT NULL,
    state text NOT NULL CHECK (state IN ('released', 'held', 'approved', 'rejected')),
    -- Its blob belongs to the study's results. NULL unless released or approved.
    released_sha256 text,
    released_bytes bigint,
    new_instance_uid text NOT NULL DEFAULT '',
    new_series_uid text NOT NULL DEFAULT '',
    new_study_uid text NOT NULL DEFAULT '',
    -- Codes of its findings.
    codes text[] NOT NULL DEFAULT '{}',
    -- heimdallr.deid.v1.InstanceOutcome with findings and boxes alone, serialized.
    details bytea NOT NULL DEFAULT '',
    approved_codes text[] NOT NULL DEFAULT '{}',
    -- The project's profile_key it was made under.
    made_profile text NOT NULL,
    -- How often it was asked for again, and up to which of these it was made.
    asked integer NOT NULL DEFAULT 0,
    answered integer NOT NULL DEFAULT 0,
    decision text NOT NULL DEFAULT '' CHECK (decision IN ('', 'approve', 'reject')),
    decided_by text NOT NULL DEFAULT '',
    decision_reason text NOT NULL DEFAULT '',
    decide_time timestamptz,
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (deidentification_id, instance_id),
    CHECK ((released_sha256 IS NULL) = (state IN ('held', 'rejected')))
);

CREATE INDEX object_by_number
ON deidentification.object (deidentification_id, instance_number, instance_id);
CREATE INDEX object_held ON deidentification.object (deidentification_id) WHERE state = 'held';

-- What was signed for it, a run each; its blob belongs to the study's results.
CREATE TABLE deidentification.certificate (
    deidentification_id uuid NOT NULL REFERENCES deidentification.series,
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    media_type text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (deidentification_id, sha256)
);
