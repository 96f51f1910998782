-- What queries match and instances are located by. Columns that SQL cannot fill are NULL in rows of
-- before; the coordinator fills them while it runs, and until then reads around them.
ALTER TABLE archive.study
    ADD COLUMN patient_name_key text,
    ADD COLUMN referring_physician_name_key text,
    ADD COLUMN patient_mismatch_count integer NOT NULL DEFAULT 0;

ALTER TABLE archive.series
    ADD COLUMN protocol_name text,
    ADD COLUMN station_name text,
    ADD COLUMN series_date text,
    ADD COLUMN series_time text,
    ADD COLUMN step_start_date text,
    ADD COLUMN step_start_time text;

ALTER TABLE archive.instance
    ADD COLUMN transfer_syntax_uid text,
    ADD COLUMN number_of_frames integer;

CREATE INDEX study_unfilled ON archive.study (study_id) WHERE patient_name_key IS NULL;
CREATE INDEX series_unfilled ON archive.series (series_id) WHERE protocol_name IS NULL;
CREATE INDEX instance_unfilled ON archive.instance (instance_id) WHERE transfer_syntax_uid IS NULL;

-- The patient that stands for this one since they were merged; NULL: itself.
ALTER TABLE archive.patient ADD COLUMN surviving_id uuid REFERENCES archive.patient;
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

-- The beginning of a value is found too, in any collation.
DROP INDEX archive.study_by_patient_id_text;
CREATE INDEX study_by_patient_id_text ON archive.study (left(patient_id_text, 64) text_pattern_ops);
DROP INDEX archive.study_by_accession_number;
CREATE INDEX study_by_accession_number
ON archive.study (left(accession_number, 64) text_pattern_ops);
CREATE INDEX study_by_birth_day
ON archive.study (left(translate(patient_birth_date, '.', ''), 8) text_pattern_ops);
CREATE INDEX series_by_uid ON archive.series (series_instance_uid);

-- Counting what arrives changes no indexed column any more, so the row's other indexes are left
-- alone (a heap-only tuple), for which the page needs room.
DROP INDEX archive.study_receiving;
CREATE INDEX study_receiving ON archive.study (study_id) WHERE state = 'receiving';
ALTER TABLE archive.study SET (fillfactor = 85);

-- A search reads the pending list word by word: it stays short.
ALTER INDEX archive.study_by_word SET (gin_pending_list_limit = 256);
ALTER INDEX archive.study_by_modality SET (gin_pending_list_limit = 256);
