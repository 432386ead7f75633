-- Purpose: keep a DAG as it was run; the same text is stored once. Key: content_hash.
INSERT INTO dag_versions (content_hash, dag, version, body, first_seen_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (content_hash) DO NOTHING
