-- Calls, and how they ended. Rows are only ever added.
CREATE TABLE audit.entry (
    entry_id uuid PRIMARY KEY,
    begin_time timestamptz NOT NULL,
    subject text NOT NULL,
    method text NOT NULL,
    action text NOT NULL,
    service text NOT NULL,
    correlation_id text NOT NULL,
    object_id uuid,
    record_time timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX entry_subject ON audit.entry (subject, entry_id);
CREATE INDEX entry_action ON audit.entry (action, entry_id);
CREATE INDEX entry_object ON audit.entry (object_id, entry_id) WHERE object_id IS NOT NULL;

CREATE TABLE audit.outcome (
    entry_id uuid PRIMARY KEY REFERENCES audit.entry,
    end_time timestamptz NOT NULL,
    code text NOT NULL,
    reason text NOT NULL
);

CREATE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER entry_append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.entry
FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER outcome_append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.outcome
FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
