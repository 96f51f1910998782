-- patients: a quarter as many as studies, ids of eight digits
INSERT INTO archive.patient (patient_id, patient_key, patient_id_text, issuer_of_patient_id)
SELECT gen_random_uuid(), 'key' || n, 'P' || lpad(n::text, 8, '0'), ''
FROM generate_series(0, $1::integer / 4) AS n;

-- studies: over ten years to now, the earliest first; names and modalities as uneven as people's
WITH family AS (
    SELECT array_agg(a || b || c ORDER BY md5(a || b || c)) AS names
    FROM unnest('{Ba,Do,Fer,Gar,Hof,Ko,Ma,Mül,Nor,Pe,San,Schu,Sil,Tor,Wag}'::text[]) AS a,
         unnest('{ber,de,gar,le,man,nan,ri,ro,so,va}'::text[]) AS b,
         unnest('{es,ez,in,ler,mann,o,os,ter,to,vic}'::text[]) AS c
), given AS (
    SELECT array_agg(a || b ORDER BY md5(a || b)) AS names
    FROM unnest('{Al,An,Be,Ca,Da,El,Fa,Jo,Jú,Li,Ma,Pa,Ri,So,Te}'::text[]) AS a,
         unnest('{a,ana,bel,len,lia,na,o,rid,son,ton}'::text[]) AS b
), drawn AS MATERIALIZED (
    SELECT n, (abs(hashint4(n))::bigint % ($1 / 4))::integer AS person,
           now() - ($1::integer - n) * (interval '3650 days' / $1) AS at,
           (abs(hashint4(n + 7))::bigint % 1000)::integer AS kind
    FROM generate_series($2::integer, $3::integer) AS n
), shown AS (
    SELECT n, person, at, 'P' || lpad(person::text, 8, '0') AS patient_id,
           'ACC' || lpad(n::text, 9, '0') AS accession_number,
           family.names[1 + (1500 * pow((abs(hashint4(person))::bigint % 9973) / 9973.0, 2))::integer % 1500]
           AS family_name,
           given.names[1 + (abs(hashint4(person + 1))::bigint % 150)] AS given_name,
           CASE WHEN kind < 450 THEN 'CR' WHEN kind < 650 THEN 'CT' WHEN kind < 800 THEN 'US'
                WHEN kind < 920 THEN 'MR' WHEN kind < 990 THEN 'MG' ELSE 'PT' END AS modality,
           ('{Thorax,Abdomen,Schädel,Knie,Mamma,Becken,Hand,LWS}'::text[])[1 + kind % 8] AS part
    FROM drawn, family, given
)
INSERT INTO archive.study
    (study_id, study_instance_uid, patient_id, patient_id_text, issuer_of_patient_id,
     patient_name, patient_birth_date, patient_sex, study_date, study_day, study_time,
     accession_number, study_id_text, study_description, referring_physician_name, state,
     modalities, first_receive_time, last_receive_time, series_count, instance_count,
     patient_name_key, referring_physician_name_key, search)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
        || lpad(to_hex(n % 4096), 3, '0') || '8' || substr(md5(n::text), 1, 15))::uuid,
       '1.2.826.0.1.3680043.10.1.' || n, p.patient_id, x.patient_id, '',
       family_name || '^' || given_name,
       to_char(date '1930-01-01' + x.person % 30000, 'YYYYMMDD'),
       CASE WHEN x.person % 2 = 0 THEN 'F' ELSE 'M' END,
       to_char(at, 'YYYYMMDD'), to_char(at, 'YYYYMMDD'), to_char(at, 'HH24MISS'),
       accession_number, n::text, modality || ' ' || part || ' nativ',
       'Referrer^' || x.person % 500,
       CASE WHEN $1 - n < 20 THEN 'receiving' WHEN $1 - n < 200 THEN 'processing'
            WHEN n % 499 = 0 THEN 'held' ELSE 'ready' END,
       ARRAY[modality], at, at, 1, 1,
       translate(lower('=' || family_name || '^' || given_name || '='), 'üú', 'uu'),
       lower('=Referrer^' || x.person % 500 || '='),
       array_to_tsvector(ARRAY[translate(lower(family_name), 'üú', 'uu'),
                               translate(lower(given_name), 'üú', 'uu'), lower(x.patient_id),
                               lower(accession_number), lower(modality),
                               translate(lower(part), 'ä', 'a'), 'nativ'])
FROM shown AS x JOIN archive.patient AS p ON p.patient_key = 'key' || x.person
ORDER BY n;
