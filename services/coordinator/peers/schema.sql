-- Tables of peers as all migrations together leave them; compared in tests.
CREATE SCHEMA IF NOT EXISTS peers;

-- Systems that images are exchanged with. A peer speaks DIMSE, DICOMweb or both.
CREATE TABLE peers.peer (
    peer_id uuid PRIMARY KEY,
    name text NOT NULL CONSTRAINT peer_name UNIQUE,
    trust_zone text NOT NULL CHECK (trust_zone IN ('inside', 'outside')),
    description text NOT NULL DEFAULT '',
    ae_title text,
    host text,
    port integer CHECK (port BETWEEN 1 AND 65535),
    calling_ae_title text NOT NULL DEFAULT '',
    tls boolean NOT NULL DEFAULT false,
    dimse_ca_pem text NOT NULL DEFAULT '',
    transfer_syntax_uids text[] NOT NULL DEFAULT '{}',
    move_destination boolean NOT NULL DEFAULT false,
    url text,
    web_ca_pem text NOT NULL DEFAULT '',
    -- Sealed by the coordinator; the key lies outside the database.
    credentials bytea,
    has_secret boolean NOT NULL DEFAULT false,
    has_certificate boolean NOT NULL DEFAULT false,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    -- Its released copies go to a peer outside.
    deid_project_id uuid,
    CONSTRAINT peer_speaks CHECK (ae_title IS NOT NULL OR url IS NOT NULL),
    CONSTRAINT peer_dimse CHECK ((ae_title IS NULL) = (host IS NULL) AND (host IS NULL) = (port IS NULL))
);

CREATE UNIQUE INDEX peer_address ON peers.peer (ae_title, host, port) WHERE ae_title IS NOT NULL;

-- The last test of each kind.
CREATE TABLE peers.test (
    peer_id uuid NOT NULL REFERENCES peers.peer ON DELETE CASCADE,
    kind text NOT NULL,
    succeeded boolean NOT NULL,
    time timestamptz NOT NULL,
    text text NOT NULL,
    duration_ms integer NOT NULL,
    PRIMARY KEY (peer_id, kind)
);
