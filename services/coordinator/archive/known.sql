-- add_to_known: instances of studies that are being received, in series that are known; a row for
-- each that was added. The rest of the batch is left out, and so is what is there already. One
-- statement, so that it takes one round trip and one flush. Studies are locked in the one order.
WITH arrived AS MATERIALIZED (
    SELECT instance_id, study_instance_uid, series_instance_uid, sop_instance_uid, sop_class_uid,
           modality, sha256, size_bytes, instance_number, attributes, association_id,
           receive_time, transfer_syntax_uid, number_of_frames, patient_id_text,
           issuer_of_patient_id
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                $8::bigint[], $9::integer[], $10::bytea[], $11::uuid[], $12::timestamptz[],
                $13::text[], $14::integer[], $15::text[], $16::text[])
        AS fresh (instance_id, study_instance_uid, series_instance_uid, sop_instance_uid,
                  sop_class_uid, modality, sha256, size_bytes, instance_number, attributes,
                  association_id, receive_time, transfer_syntax_uid, number_of_frames,
                  patient_id_text, issuer_of_patient_id)
), locked AS MATERIALIZED (
    SELECT study_id, study_instance_uid, generation, modalities, patient_id_text,
           issuer_of_patient_id
    FROM archive.study WHERE study_instance_uid = ANY ($2::text[]) AND state = 'receiving'
    ORDER BY study_instance_uid FOR UPDATE
), added AS (
    INSERT INTO archive.instance
        (instance_id, series_id, study_id, sop_instance_uid, sop_class_uid, sha256, size_bytes,
         generation, instance_number, attributes, association_id, receive_time,
         transfer_syntax_uid, number_of_frames)
    SELECT a.instance_id, r.series_id, s.study_id, a.sop_instance_uid, a.sop_class_uid, a.sha256,
           a.size_bytes, s.generation, a.instance_number, a.attributes, a.association_id,
           a.receive_time, a.transfer_syntax_uid, a.number_of_frames
    FROM arrived AS a
    JOIN locked AS s USING (study_instance_uid, patient_id_text, issuer_of_patient_id)
    JOIN archive.series AS r USING (study_id, series_instance_uid)
    WHERE a.modality = '' OR a.modality = ANY (s.modalities)
    ORDER BY a.sop_instance_uid
    ON CONFLICT (sop_instance_uid) DO NOTHING
    RETURNING instance_id, series_id, study_id, generation, association_id
), grown_series AS (
    UPDATE archive.series AS r
    SET instance_count = r.instance_count + more.instances,
        last_receive_time = now(),
        last_generation = more.generation
    FROM (SELECT series_id, generation, count(*)::integer AS instances
          FROM added GROUP BY series_id, generation) AS more
    WHERE r.series_id = more.series_id
), grown AS (
    UPDATE archive.study AS s
    SET instance_count = s.instance_count + more.instances,
        last_receive_time = now(),
        grew_event_time = CASE
            WHEN $17 AND s.grew_event_time < now() - interval '1 second' THEN now()
            ELSE s.grew_event_time END
    FROM (SELECT study_id, count(*)::integer AS instances FROM added GROUP BY study_id) AS more
    WHERE s.study_id = more.study_id
    RETURNING s.study_id, s.grew_event_time
), noted AS (
    INSERT INTO archive.association (association_id, study_id, generation)
    SELECT DISTINCT association_id, study_id, generation FROM added
    WHERE association_id IS NOT NULL
    ORDER BY association_id, study_id
    ON CONFLICT (association_id, study_id) DO UPDATE
    SET generation = excluded.generation, last_receive_time = now()
    WHERE association.generation <> excluded.generation
)
SELECT added.instance_id, added.series_id, added.study_id, added.generation,
       grown.grew_event_time IS NOT DISTINCT FROM now() AS told
FROM added JOIN grown USING (study_id);
