-- Purpose: runs of all DAGs, newest first (index runs_by_time), of one date if $1 is not NULL, and in one state if $3
-- is not NULL.
-- Two ORDER BY terms: with more of them SQLite reads and sorts all runs.
SELECT
    run_id, dag, dag_version, logical_date, asked_by, slot, only_jobs, force, state, cancel_requested, token,
    queued_at, started_at, finished_at, person, why, repairs, backfill
FROM runs
WHERE ($1 IS NULL OR logical_date = $1) AND ($3 IS NULL OR state = $3) AND queued_at >= $4
ORDER BY queued_at DESC, run_id DESC
LIMIT $2
