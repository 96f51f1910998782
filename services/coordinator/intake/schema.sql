-- Tables of intake as all migrations together leave them; compared in tests.
CREATE SCHEMA IF NOT EXISTS intake;

-- An association or request over which instances came. Shown to administrators only.
CREATE TABLE intake.association (
    association_id uuid PRIMARY KEY,
    door text NOT NULL,
    calling_ae_title text NOT NULL,
    called_ae_title text NOT NULL,
    peer_address text NOT NULL,
    begin_time timestamptz NOT NULL DEFAULT now(),
    end_time timestamptz,
    released boolean,
    instance_count integer
);
