-- insert_peer: register a peer
INSERT INTO peers.peer (
    peer_id, name, trust_zone, description, ae_title, host, port, calling_ae_title, tls,
    dimse_ca_pem, transfer_syntax_uids, move_destination, url, web_ca_pem, deid_project_id,
    credentials, has_secret, has_certificate
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
RETURNING peer_id, name, trust_zone, description, ae_title, host, port, calling_ae_title, tls,
    dimse_ca_pem, transfer_syntax_uids, move_destination, url, web_ca_pem, deid_project_id,
    has_secret, has_certificate, create_time, update_time;

-- update_peer: replace what is registered; credentials stay unless new ones are given
UPDATE peers.peer
SET name = $2, trust_zone = $3, description = $4, ae_title = $5, host = $6, port = $7,
    calling_ae_title = $8, tls = $9, dimse_ca_pem = $10, transfer_syntax_uids = $11,
    move_destination = $12, url = $13, web_ca_pem = $14, deid_project_id = $15,
    credentials = CASE WHEN $19::boolean THEN $16 ELSE credentials END,
    has_secret = CASE WHEN $19::boolean THEN $17 ELSE has_secret END,
    has_certificate = CASE WHEN $19::boolean THEN $18 ELSE has_certificate END,
    update_time = now()
WHERE peer_id = $1
RETURNING peer_id, name, trust_zone, description, ae_title, host, port, calling_ae_title, tls,
    dimse_ca_pem, transfer_syntax_uids, move_destination, url, web_ca_pem, deid_project_id,
    has_secret, has_certificate, create_time, update_time;

-- delete_peer: forget a peer, its credentials and tests
DELETE FROM peers.peer WHERE peer_id = $1;

-- list_peers: every peer by name
SELECT peer_id, name, trust_zone, description, ae_title, host, port, calling_ae_title, tls,
    dimse_ca_pem, transfer_syntax_uids, move_destination, url, web_ca_pem, deid_project_id,
    has_secret, has_certificate, create_time, update_time
FROM peers.peer
ORDER BY name;

-- peer_by_id: one peer and its sealed credentials
SELECT peer_id, name, trust_zone, description, ae_title, host, port, calling_ae_title, tls,
    dimse_ca_pem, transfer_syntax_uids, move_destination, url, web_ca_pem, deid_project_id,
    has_secret, has_certificate, create_time, update_time, credentials
FROM peers.peer
WHERE peer_id = $1;

-- peer_by_name: one peer and its sealed credentials
SELECT peer_id, name, trust_zone, description, ae_title, host, port, calling_ae_title, tls,
    dimse_ca_pem, transfer_syntax_uids, move_destination, url, web_ca_pem, deid_project_id,
    has_secret, has_certificate, create_time, update_time, credentials
FROM peers.peer
WHERE name = $1;

-- peers_by_ae_title: at most two of the peers that are called so, with sealed credentials
SELECT peer_id, name, trust_zone, description, ae_title, host, port, calling_ae_title, tls,
    dimse_ca_pem, transfer_syntax_uids, move_destination, url, web_ca_pem, deid_project_id,
    has_secret, has_certificate, create_time, update_time, credentials
FROM peers.peer
WHERE ae_title = $1
LIMIT 2;

-- list_tests: last outcomes of some peers
SELECT peer_id, kind, succeeded, time, text, duration_ms
FROM peers.test
WHERE peer_id = ANY($1::uuid[])
ORDER BY kind;

-- record_test: keep an outcome unless a later one is kept; no row when the peer is unknown
INSERT INTO peers.test AS t (peer_id, kind, succeeded, time, text, duration_ms)
SELECT p.peer_id, $2, $3, $4, $5, $6 FROM peers.peer AS p WHERE p.peer_id = $1
ON CONFLICT (peer_id, kind) DO UPDATE
SET succeeded = CASE WHEN t.time > excluded.time THEN t.succeeded ELSE excluded.succeeded END,
    text = CASE WHEN t.time > excluded.time THEN t.text ELSE excluded.text END,
    duration_ms = CASE WHEN t.time > excluded.time THEN t.duration_ms ELSE excluded.duration_ms END,
    time = greatest(t.time, excluded.time)
RETURNING true;
