-- Tables of worklist as all migrations together leave them; compared in tests.
CREATE SCHEMA IF NOT EXISTS worklist;

-- What is to be done at which modality and when.
CREATE TABLE worklist.scheduled_step (
    scheduled_step_id uuid PRIMARY KEY,
    state text NOT NULL DEFAULT 'scheduled'
        CHECK (state IN ('scheduled', 'started', 'completed', 'discontinued', 'cancelled')),
    spec jsonb NOT NULL,
    -- Start as YYYYMMDDHHMMSS.
    start text COLLATE "C" NOT NULL,
    modality text NOT NULL,
    station_ae_titles text[] NOT NULL,
    patient_id text NOT NULL,
    -- Without case and accents.
    patient_name_folded text NOT NULL,
    accession_number text NOT NULL,
    requested_procedure_id text NOT NULL,
    step_id text NOT NULL,
    study_instance_uid text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    UNIQUE (accession_number, requested_procedure_id, step_id)
);

CREATE INDEX scheduled_step_by_start ON worklist.scheduled_step (start, scheduled_step_id);
CREATE INDEX scheduled_step_to_do ON worklist.scheduled_step (start, scheduled_step_id)
    WHERE state IN ('scheduled', 'started');
CREATE INDEX scheduled_step_by_patient ON worklist.scheduled_step (patient_id);
CREATE INDEX scheduled_step_by_study ON worklist.scheduled_step (study_instance_uid);

-- What modalities say they did.
CREATE TABLE worklist.performed_step (
    performed_step_id uuid PRIMARY KEY,
    sop_instance_uid text NOT NULL UNIQUE,
    state text NOT NULL CHECK (state IN ('in_progress', 'completed', 'discontinued')),
    -- The studies whose orders it fulfils.
    study_instance_uids text[] NOT NULL,
    attributes jsonb NOT NULL,
    series jsonb NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX performed_step_by_update
    ON worklist.performed_step (update_time DESC, performed_step_id DESC);
CREATE INDEX performed_step_by_study ON worklist.performed_step USING gin (study_instance_uids);
