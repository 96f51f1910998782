-- People who may sign in. "user" is a reserved word.
CREATE TABLE access.person (
    user_id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9._-]{1,64}$'),
    roles text[] NOT NULL CHECK (cardinality(roles) > 0),
    enabled boolean NOT NULL DEFAULT true,
    create_time timestamptz NOT NULL DEFAULT now(),
    last_sign_in_time timestamptz
);

-- One-time sign-in tokens that were used; a row may go once its token has expired.
CREATE TABLE access.used_sign_in (
    token_id text PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES access.person,
    expire_time timestamptz NOT NULL
);

CREATE INDEX used_sign_in_expire_time ON access.used_sign_in (expire_time);
