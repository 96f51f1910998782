-- insert_user: add a person; no row when the name is taken
INSERT INTO access.person (user_id, name, roles)
VALUES ($1, $2, $3)
ON CONFLICT (name) DO NOTHING
RETURNING user_id, name, roles, enabled, create_time;

-- insert_first_user: add a person when there is nobody yet
INSERT INTO access.person (user_id, name, roles)
SELECT $1, $2, $3
WHERE NOT EXISTS (SELECT FROM access.person)
ON CONFLICT (name) DO NOTHING;

-- user_by_id: one person
SELECT user_id, name, roles, enabled, create_time
FROM access.person
WHERE user_id = $1;

-- user_before_first_sign_in: an enabled person of that name who has never signed in
SELECT user_id, name, roles, enabled, create_time
FROM access.person
WHERE name = $1 AND enabled AND last_sign_in_time IS NULL;

-- update_user: replace roles and whether the person is enabled
UPDATE access.person
SET roles = $2, enabled = $3
WHERE user_id = $1
RETURNING user_id, name, roles, enabled, create_time;

-- list_users: people by name, after a name
SELECT user_id, name, roles, enabled, create_time
FROM access.person
WHERE name > $1
ORDER BY name
LIMIT $2;

-- delete_expired_sign_ins: forget used tokens that nobody accepts any more
DELETE FROM access.used_sign_in
WHERE expire_time < now() - interval '1 hour';

-- insert_used_sign_in: mark a sign-in token as used; no row when it was before
INSERT INTO access.used_sign_in (token_id, user_id, expire_time)
VALUES ($1, $2, $3)
ON CONFLICT (token_id) DO NOTHING
RETURNING token_id;

-- sign_in_user: note the sign-in of an enabled person
UPDATE access.person
SET last_sign_in_time = now()
WHERE user_id = $1 AND enabled
RETURNING user_id, name, roles, enabled, create_time;

-- user_and_hash_by_name: an enabled person of that name and the hash of their password
SELECT p.user_id, p.name, p.roles, p.enabled, p.create_time, w.hash
FROM access.person AS p JOIN access.password AS w USING (user_id)
WHERE p.name = $1 AND p.enabled;

-- password_hash: the hash of a person's password
SELECT hash FROM access.password WHERE user_id = $1;

-- put_password_hash: set a password where the present one is still the one that was checked
INSERT INTO access.password AS w (user_id, hash) VALUES ($1, $2)
ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, change_time = now()
WHERE w.hash = $3
RETURNING true;

-- begin_attempt: count an attempt before it is looked at; no row while the name is refused
INSERT INTO access.sign_in_attempt AS a (name, attempt_count, refused_until)
VALUES ($1, 1, now())
ON CONFLICT (name) DO UPDATE
SET attempt_count = CASE WHEN a.last_attempt_time < now() - interval '1 day' THEN 1
                         ELSE a.attempt_count + 1 END,
    refused_until = CASE WHEN a.last_attempt_time < now() - interval '1 day'
                           OR a.attempt_count + 1 < $2::integer THEN now()
                         ELSE now() + least($4::interval, $3::interval * 2 ^ least(a.attempt_count + 1 - $2, 30)) END,
    last_attempt_time = now()
WHERE a.refused_until <= now()
RETURNING true;

-- forget_attempts: a name has shown that it is the person
DELETE FROM access.sign_in_attempt WHERE name = $1;

-- delete_old_attempts: forget names that nobody tried of late
DELETE FROM access.sign_in_attempt
WHERE name IN (
    SELECT name FROM access.sign_in_attempt
    WHERE last_attempt_time < now() - interval '1 day'
    ORDER BY last_attempt_time LIMIT 100 FOR UPDATE SKIP LOCKED
);
