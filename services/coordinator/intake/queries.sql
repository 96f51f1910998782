-- note_sources: where instances come from; the first to say so is believed
INSERT INTO intake.association
    (association_id, door, calling_ae_title, called_ae_title, peer_address)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
    AS fresh (association_id, door, calling_ae_title, called_ae_title, peer_address)
ORDER BY association_id
ON CONFLICT (association_id) DO NOTHING;

-- note_ends: how associations ended; the first end stays
UPDATE intake.association AS a
SET end_time = now(), released = gone.released, instance_count = gone.instance_count
FROM unnest($1::uuid[], $2::boolean[], $3::integer[])
    AS gone (association_id, released, instance_count)
WHERE a.association_id = gone.association_id AND a.end_time IS NULL;
