-- plan_task: let a task have its first turn after a while
INSERT INTO storage.schedule (task, next_time) VALUES ($1, now() + $2::interval)
ON CONFLICT (task) DO NOTHING;

-- take_turn: move a task's time on; a row for whoever was first
UPDATE storage.schedule SET next_time = now() + $2::interval
WHERE task = $1 AND next_time <= now()
RETURNING true;

-- try_lock: be the only one at a task while this connection is held
SELECT pg_try_advisory_lock(hashtextextended('heimdallr.storage.' || $1, 0));

-- unlock: let another one do a task
SELECT pg_advisory_unlock(hashtextextended('heimdallr.storage.' || $1, 0));

-- named_hashes: every hash that a row names, from one on, in order
SELECT sha256 FROM (
    SELECT sha256 FROM archive.instance WHERE sha256 COLLATE "C" >= $1
    UNION ALL SELECT sha256 FROM archive.conflict WHERE sha256 COLLATE "C" >= $1
    UNION ALL SELECT sha256 FROM workflow.result_blob WHERE sha256 COLLATE "C" >= $1
) AS named
ORDER BY sha256 COLLATE "C";

-- named_among: which of some hashes a row names
SELECT sha256 FROM archive.instance WHERE sha256 = ANY ($1::text[])
UNION SELECT sha256 FROM archive.conflict WHERE sha256 = ANY ($1::text[])
UNION SELECT sha256 FROM workflow.result_blob WHERE sha256 = ANY ($1::text[]);

-- begin_collection: a new round
INSERT INTO storage.collection (collection_id, dry_run) VALUES ($1, $2)
RETURNING collection_id::text, dry_run, begin_time, end_time, failed, prefix, examined_count,
          set_aside_count, set_aside_bytes, restored_count, deleted_count, deleted_bytes,
          young_count;

-- latest_collection: the round that began last
SELECT collection_id::text, dry_run, begin_time, end_time, failed, prefix, examined_count,
       set_aside_count, set_aside_bytes, restored_count, deleted_count, deleted_bytes,
       young_count
FROM storage.collection ORDER BY begin_time DESC, collection_id DESC LIMIT 1;

-- save_collection: how far a round has come
UPDATE storage.collection
SET prefix = $2, examined_count = $3, set_aside_count = $4, set_aside_bytes = $5,
    restored_count = $6, deleted_count = $7, deleted_bytes = $8, young_count = $9
WHERE collection_id = $1;

-- end_collection: a round is over
UPDATE storage.collection SET end_time = now(), failed = $2
WHERE collection_id = $1 AND end_time IS NULL;

-- begin_scrub: a new round
INSERT INTO storage.scrub (scrub_id, rate_bytes, total_count)
SELECT $1, $2, (SELECT count(*) FROM archive.instance) + (SELECT count(*) FROM archive.conflict)
               + (SELECT count(*) FROM workflow.result_blob)
RETURNING scrub_id::text, begin_time, end_time, rate_bytes, kind, last_key, total_count,
          checked_count, checked_bytes, corrupt_count, missing_count;

-- latest_scrub: the round that began last
SELECT scrub_id::text, begin_time, end_time, rate_bytes, kind, last_key, total_count,
       checked_count, checked_bytes, corrupt_count, missing_count
FROM storage.scrub ORDER BY begin_time DESC, scrub_id DESC LIMIT 1;

-- save_scrub: how far a round has come
UPDATE storage.scrub
SET kind = $2, last_key = $3, checked_count = $4, checked_bytes = $5, corrupt_count = $6,
    missing_count = $7
WHERE scrub_id = $1;

-- end_scrub: a round is over
UPDATE storage.scrub SET end_time = now() WHERE scrub_id = $1;

-- instances_to_read: instances after one, in order
SELECT instance_id::text AS key, study_id::text, instance_id::text, sha256, size_bytes,
       'application/dicom' AS media_type
FROM archive.instance
WHERE instance_id > coalesce(nullif($1, ''), '00000000-0000-0000-0000-000000000000')::uuid
ORDER BY instance_id LIMIT $2;

-- conflicts_to_read: what was kept aside after one, in order
SELECT conflict_id::text AS key, study_id::text, instance_id::text, sha256, size_bytes,
       'application/dicom' AS media_type
FROM archive.conflict
WHERE conflict_id > coalesce(nullif($1, ''), '00000000-0000-0000-0000-000000000000')::uuid
ORDER BY conflict_id LIMIT $2;

-- results_to_read: files of results after one, in order
SELECT study_id::text || ':' || sha256 AS key, study_id::text, NULL::text AS instance_id, sha256,
       size_bytes, media_type
FROM workflow.result_blob
WHERE $1 = '' OR (study_id, sha256) > (split_part($1, ':', 1)::uuid, split_part($1, ':', 2))
ORDER BY study_id, sha256 LIMIT $2;

-- note_damage: a blob is not what it was; a row when that is news
INSERT INTO storage.damage (study_id, sha256, instance_id, kind) VALUES ($1, $2, $3, $4)
ON CONFLICT (study_id, sha256) DO UPDATE
SET kind = excluded.kind, find_time = now(), instance_id = excluded.instance_id
WHERE damage.kind <> excluded.kind
RETURNING true;

-- damaged_among: which of some hashes are not as they were
SELECT sha256 FROM storage.damage WHERE sha256 = ANY ($1::text[]);

-- forget_damage: a blob is whole again
DELETE FROM storage.damage WHERE study_id = $1 AND sha256 = $2;

-- forget_study: what was found of a study that is deleted
DELETE FROM storage.damage WHERE study_id = $1;

-- damages: what is not as it was, the latest found first
SELECT study_id::text, sha256, instance_id::text, kind, find_time FROM storage.damage
ORDER BY find_time DESC LIMIT $1;

-- count_damage: how much is not as it was
SELECT count(*) FROM storage.damage;
