-- Purpose: a DAG's runs for one date, newest first (the key of dag, logical_date and n).
SELECT
    run_id, dag, dag_version, logical_date, asked_by, slot, only_jobs, force, state, cancel_requested, token,
    queued_at, started_at, finished_at, person, why, repairs, backfill
FROM runs
WHERE dag = $1 AND logical_date = $2 AND ($4 IS NULL OR state = $4) AND queued_at >= $5
ORDER BY queued_at DESC, logical_date DESC, n DESC, run_id DESC
LIMIT $3
