-- keep_links: what was sealed; what is known already stays
INSERT INTO crosswalk.link (project_id, kind, pseudonym, sealed, patient_tag, key_version)
SELECT $1, t.kind, t.pseudonym, t.sealed, t.patient_tag, t.key_version
FROM unnest($2::text[], $3::text[], $4::bytea[], $5::text[], $6::integer[])
    AS t (kind, pseudonym, sealed, patient_tag, key_version)
ON CONFLICT (project_id, kind, pseudonym) DO NOTHING;

-- known_versions: versions of the key by which patients were first known
SELECT patient_tag, min(key_version) AS key_version FROM crosswalk.link
WHERE project_id = $1 AND kind = 'patient' AND patient_tag = ANY ($2::text[])
GROUP BY patient_tag;

-- link: who stands behind a pseudonym, sealed
SELECT sealed FROM crosswalk.link WHERE project_id = $1 AND kind = $2 AND pseudonym = $3;

-- insert_request: somebody asks to be told
INSERT INTO crosswalk.reidentification
    (reidentification_id, project_id, kind, pseudonym, reason, requested_by, state, expire_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, now() + $8::interval)
RETURNING reidentification_id::text, project_id::text, kind, pseudonym, reason, requested_by,
          request_time, state, decided_by, expire_time <= now() AS expired, told_count;

-- lock_request: a request, held until the transaction ends
SELECT reidentification_id::text, project_id::text, kind, pseudonym, reason, requested_by,
       request_time, state, decided_by, expire_time <= now() AS expired, told_count
FROM crosswalk.reidentification WHERE reidentification_id = $1 FOR UPDATE;

-- decide_request: another person agrees or refuses
UPDATE crosswalk.reidentification
SET state = $2, decided_by = $3, expire_time = now() + $4::interval
WHERE reidentification_id = $1
RETURNING reidentification_id::text, project_id::text, kind, pseudonym, reason, requested_by,
          request_time, state, decided_by, expire_time <= now() AS expired, told_count;

-- note_told: it is told
UPDATE crosswalk.reidentification SET told_count = told_count + 1 WHERE reidentification_id = $1;

-- requests: the latest first
SELECT reidentification_id::text, project_id::text, kind, pseudonym, reason, requested_by,
       request_time, state, decided_by, expire_time <= now() AS expired, told_count
FROM crosswalk.reidentification WHERE $1::uuid IS NULL OR project_id = $1
ORDER BY request_time DESC, reidentification_id DESC LIMIT $2;
