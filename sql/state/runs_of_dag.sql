-- Purpose: a DAG's runs, newest first (index runs_by_dag).
-- Two ORDER BY terms: see runs_newest.sql.
SELECT
    run_id, dag, dag_version, logical_date, asked_by, slot, only_jobs, force, state, cancel_requested, token,
    queued_at, started_at, finished_at, person, why, repairs, backfill
FROM runs
WHERE dag = $1 AND ($3 IS NULL OR state = $3) AND queued_at >= $4
ORDER BY queued_at DESC, run_id DESC
LIMIT $2
