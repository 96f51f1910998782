-- A person's password; the hash names its own parameters. Whoever has no row signs in by link.
CREATE TABLE access.password (
    user_id uuid PRIMARY KEY REFERENCES access.person,
    hash text NOT NULL,
    change_time timestamptz NOT NULL DEFAULT now()
);

-- Attempts since the last that succeeded, for names of people and for names that nobody has.
CREATE TABLE access.sign_in_attempt (
    name text PRIMARY KEY,
    attempt_count integer NOT NULL,
    refused_until timestamptz NOT NULL,
    last_attempt_time timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX sign_in_attempt_time ON access.sign_in_attempt (last_attempt_time);
