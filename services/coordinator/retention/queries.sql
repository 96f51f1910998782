-- hold_study: keep a study; the latest reason stays
INSERT INTO retention.hold (study_id, reason, subject) VALUES ($1, $2, $3)
ON CONFLICT (study_id) DO UPDATE SET reason = excluded.reason, subject = excluded.subject
RETURNING study_id::text, reason, subject, create_time;

-- release_study: let a study go
DELETE FROM retention.hold WHERE study_id = $1;

-- holds: studies that are kept, the latest first
SELECT study_id::text, reason, subject, create_time FROM retention.hold
ORDER BY create_time DESC LIMIT $1;

-- is_held: whether somebody keeps a study
SELECT EXISTS (SELECT FROM retention.hold WHERE study_id = $1);

-- note_deletion: remember that a study was deleted
INSERT INTO retention.deletion (study_id, rule_name, subject, instance_count, size_bytes)
VALUES ($1, $2, $3, $4, $5);

-- set_rule: make or replace a rule; what it did stays
INSERT INTO retention.rule (name, modalities, age_basis, age_days, enabled)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE
SET modalities = excluded.modalities, age_basis = excluded.age_basis,
    age_days = excluded.age_days, enabled = excluded.enabled, update_time = now()
RETURNING name, modalities, age_basis, age_days, enabled, update_time, apply_time, deleted_count;

-- delete_rule: forget a rule
DELETE FROM retention.rule WHERE name = $1;

-- rules: every rule by name
SELECT name, modalities, age_basis, age_days, enabled, update_time, apply_time, deleted_count
FROM retention.rule ORDER BY name;

-- note_application: a rule was applied
UPDATE retention.rule SET apply_time = now(), deleted_count = deleted_count + $2 WHERE name = $1;

-- plan_task: let a task have its first turn now
INSERT INTO retention.schedule (task, next_time) VALUES ($1, now()) ON CONFLICT (task) DO NOTHING;

-- take_turn: move a task's time on; a row for whoever was first
UPDATE retention.schedule SET next_time = now() + $2::interval
WHERE task = $1 AND next_time <= now()
RETURNING true;

-- due_studies: studies old enough for a rule, ready and not held
SELECT s.study_id::text FROM archive.study AS s
WHERE s.state = 'ready'
  AND (cardinality($1::text[]) = 0
       OR (cardinality(s.modalities) > 0 AND s.modalities <@ $1::text[]))
  AND CASE WHEN $2 = 'received' THEN s.last_receive_time <= now() - make_interval(days => $3)
           ELSE s.study_day <> ''
                AND s.study_day <= to_char(now() - make_interval(days => $3), 'YYYYMMDD')
      END
  AND NOT EXISTS (SELECT FROM retention.hold AS h WHERE h.study_id = s.study_id)
ORDER BY s.first_receive_time, s.study_id
LIMIT $4;

-- rule_reach: how much a rule would delete, and how much is old enough and held
WITH old AS MATERIALIZED (
    SELECT s.study_id, s.instance_count, h.study_id IS NOT NULL AS held
    FROM archive.study AS s LEFT JOIN retention.hold AS h USING (study_id)
    WHERE s.state = 'ready'
      AND (cardinality($1::text[]) = 0
           OR (cardinality(s.modalities) > 0 AND s.modalities <@ $1::text[]))
      AND CASE WHEN $2 = 'received' THEN s.last_receive_time <= now() - make_interval(days => $3)
               ELSE s.study_day <> ''
                    AND s.study_day <= to_char(now() - make_interval(days => $3), 'YYYYMMDD')
          END
)
SELECT count(*) FILTER (WHERE NOT held) AS study_count,
       count(*) FILTER (WHERE held) AS held_count,
       coalesce(sum(instance_count) FILTER (WHERE NOT held), 0)::bigint AS instance_count,
       (SELECT coalesce(sum(i.size_bytes), 0)
        FROM archive.instance AS i JOIN old USING (study_id) WHERE NOT old.held)::bigint
           AS size_bytes
FROM old;
