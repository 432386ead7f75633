-- Purpose: delete DAG versions that were first seen before an instant and that no run uses any more. Grain: version.
DELETE FROM dag_versions
WHERE first_seen_at < $1
    AND NOT EXISTS (SELECT 1 FROM runs AS r WHERE r.dag_hash = dag_versions.content_hash)
