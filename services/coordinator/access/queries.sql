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
