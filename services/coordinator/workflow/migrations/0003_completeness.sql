-- What a sender or a performed procedure step says a study consists of. It may come before the
-- study does, so it is kept by Study Instance UID.
CREATE TABLE workflow.manifest (
    manifest_id uuid PRIMARY KEY,
    study_instance_uid text NOT NULL,
    -- "sender:" and the name it chose, or "step:" and the SOP Instance UID of the step.
    name text NOT NULL,
    -- A modality began the step and has not said yet what it made.
    open boolean NOT NULL,
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (study_instance_uid, name)
);

-- Series of which only the number of instances is known.
CREATE TABLE workflow.manifest_series (
    manifest_id uuid NOT NULL REFERENCES workflow.manifest ON DELETE CASCADE,
    series_instance_uid text NOT NULL,
    instance_count integer NOT NULL CHECK (instance_count > 0),
    PRIMARY KEY (manifest_id, series_instance_uid)
);

CREATE TABLE workflow.manifest_instance (
    manifest_id uuid NOT NULL REFERENCES workflow.manifest ON DELETE CASCADE,
    sop_instance_uid text NOT NULL,
    series_instance_uid text NOT NULL,
    PRIMARY KEY (manifest_id, sop_instance_uid)
);

-- How many instances of a study its source says it has; the latest word of each source.
CREATE TABLE workflow.confirmed_count (
    study_instance_uid text NOT NULL,
    source text NOT NULL,
    instance_count integer NOT NULL CHECK (instance_count > 0),
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (study_instance_uid, source)
);
