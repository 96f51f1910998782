-- Tables of archive as all migrations together leave them; compared in tests.
CREATE SCHEMA IF NOT EXISTS archive;

-- Patient ID with its issuer. A study without a Patient ID has a patient of its own.
CREATE TABLE archive.patient (
    patient_id uuid PRIMARY KEY,
    -- SHA-256 of Patient ID, issuer and, without a Patient ID, the Study Instance UID: values of
    -- any length stay under the limit of an index row.
    patient_key text NOT NULL UNIQUE,
    patient_id_text text NOT NULL,
    issuer_of_patient_id text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    -- The patient that stands for this one since they were merged; NULL: itself.
    surviving_id uuid REFERENCES archive.patient
);

CREATE INDEX patient_by_survivor ON archive.patient ((coalesce(surviving_id, patient_id)));
CREATE INDEX patient_by_id_text ON archive.patient (left(patient_id_text, 64) text_pattern_ops);

CREATE TABLE archive.patient_merge (
    merge_id uuid PRIMARY KEY,
    merged_id uuid NOT NULL REFERENCES archive.patient,
    into_id uuid NOT NULL REFERENCES archive.patient,
    reason text NOT NULL,
    merged_by text NOT NULL,
    merge_time timestamptz NOT NULL DEFAULT now(),
    unmerged_by text,
    unmerge_time timestamptz,
    CHECK (merged_id <> into_id)
);

CREATE UNIQUE INDEX patient_merge_in_force ON archive.patient_merge (merged_id)
WHERE unmerge_time IS NULL;
CREATE INDEX patient_merge_by_merged ON archive.patient_merge (merged_id, merge_time);
CREATE INDEX patient_merge_by_into ON archive.patient_merge (into_id, merge_time);

-- What is known of the patient is kept with each study as sent: the same Patient ID from two
-- hospitals must not show one person's name on the other's study.
CREATE TABLE archive.study (
    study_id uuid PRIMARY KEY,
    study_instance_uid text NOT NULL UNIQUE,
    patient_id uuid NOT NULL REFERENCES archive.patient,
    patient_id_text text NOT NULL,
    issuer_of_patient_id text NOT NULL,
    patient_name text NOT NULL,
    patient_birth_date text NOT NULL,
    patient_sex text NOT NULL,
    study_date text NOT NULL,
    -- Study Date as YYYYMMDD, empty when it is not a date.
    study_day text COLLATE "C" NOT NULL,
    study_time text NOT NULL,
    accession_number text NOT NULL,
    study_id_text text NOT NULL,
    study_description text NOT NULL,
    referring_physician_name text NOT NULL,
    state text NOT NULL DEFAULT 'receiving'
        CHECK (state IN ('receiving', 'complete', 'processing', 'ready', 'held')),
    evidence text CHECK (evidence IN ('manifest', 'count', 'released', 'quiet', 'person')),
    generation integer NOT NULL DEFAULT 1 CHECK (generation >= 1),
    priority integer NOT NULL DEFAULT 2,
    instance_count integer NOT NULL DEFAULT 0,
    series_count integer NOT NULL DEFAULT 0,
    conflict_count integer NOT NULL DEFAULT 0,
    modalities text[] NOT NULL DEFAULT '{}',
    first_receive_time timestamptz NOT NULL DEFAULT now(),
    last_receive_time timestamptz NOT NULL DEFAULT now(),
    -- When the last event said that the study grew.
    grew_event_time timestamptz,
    -- Folded words of name, id, accession number and description.
    search tsvector NOT NULL,
    -- Names without case and accents, each group between '='; NULL until filled in.
    patient_name_key text,
    referring_physician_name_key text,
    -- Instances that came with another Patient ID or issuer than the study's.
    patient_mismatch_count integer NOT NULL DEFAULT 0
) WITH (fillfactor = 85);

CREATE INDEX study_by_receive_time ON archive.study (first_receive_time, study_id);
CREATE INDEX study_by_day ON archive.study (study_day, study_id);
CREATE INDEX study_by_day_received ON archive.study (study_day, first_receive_time);
CREATE INDEX study_by_patient ON archive.study (patient_id);
CREATE INDEX study_by_patient_id_text ON archive.study (left(patient_id_text, 64) text_pattern_ops);
CREATE INDEX study_by_accession_number
ON archive.study (left(accession_number, 64) text_pattern_ops);
CREATE INDEX study_by_birth_day
ON archive.study (left(translate(patient_birth_date, '.', ''), 8) text_pattern_ops);
CREATE INDEX study_by_state ON archive.study (state, first_receive_time, study_id);
CREATE INDEX study_receiving ON archive.study (study_id) WHERE state = 'receiving';
CREATE INDEX study_by_modality ON archive.study USING gin (modalities)
WITH (gin_pending_list_limit = 256);
CREATE INDEX study_by_word ON archive.study USING gin (search)
WITH (gin_pending_list_limit = 256);
CREATE INDEX study_unfilled ON archive.study (study_id) WHERE patient_name_key IS NULL;

CREATE TABLE archive.series (
    series_id uuid PRIMARY KEY,
    study_id uuid NOT NULL REFERENCES archive.study,
    series_instance_uid text NOT NULL,
    modality text NOT NULL,
    series_description text NOT NULL,
    series_number integer,
    body_part_examined text NOT NULL,
    instance_count integer NOT NULL DEFAULT 0,
    last_receive_time timestamptz NOT NULL DEFAULT now(),
    last_generation integer NOT NULL,
    -- NULL until filled in.
    protocol_name text,
    station_name text,
    series_date text,
    series_time text,
    -- Performed Procedure Step Start Date and Time.
    step_start_date text,
    step_start_time text,
    UNIQUE (study_id, series_instance_uid)
);

CREATE INDEX series_by_uid ON archive.series (series_instance_uid);
CREATE INDEX series_unfilled ON archive.series (series_id) WHERE protocol_name IS NULL;

CREATE TABLE archive.instance (
    instance_id uuid PRIMARY KEY,
    series_id uuid NOT NULL REFERENCES archive.series,
    study_id uuid NOT NULL REFERENCES archive.study,
    sop_instance_uid text NOT NULL UNIQUE,
    sop_class_uid text NOT NULL,
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    generation integer NOT NULL,
    instance_number integer,
    -- heimdallr.imaging.v1.InstanceAttributes, serialized.
    attributes bytea NOT NULL,
    association_id uuid,
    receive_time timestamptz NOT NULL,
    -- NULL until filled in.
    transfer_syntax_uid text,
    -- Zero when the instance does not say; NULL until filled in.
    number_of_frames integer
);

CREATE INDEX instance_unfilled ON archive.instance (instance_id) WHERE transfer_syntax_uid IS NULL;
CREATE INDEX instance_by_number ON archive.instance (series_id, instance_number, instance_id);
CREATE INDEX instance_by_study ON archive.instance (study_id);

-- Other bytes under a SOP Instance UID that was taken.
CREATE TABLE archive.conflict (
    conflict_id uuid PRIMARY KEY,
    instance_id uuid NOT NULL REFERENCES archive.instance,
    study_id uuid NOT NULL REFERENCES archive.study,
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    attributes bytea NOT NULL,
    association_id uuid,
    receive_time timestamptz NOT NULL,
    UNIQUE (instance_id, sha256)
);

CREATE INDEX conflict_by_study ON archive.conflict (study_id);

-- Which associations brought a study: evidence of its completeness.
CREATE TABLE archive.association (
    association_id uuid NOT NULL,
    study_id uuid NOT NULL REFERENCES archive.study,
    open boolean NOT NULL DEFAULT true,
    released boolean,
    generation integer NOT NULL,
    last_receive_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (association_id, study_id)
);

CREATE INDEX association_by_study ON archive.association (study_id, generation);
