-- Purpose: the runs that are not done, newest first (index runs_open).
SELECT
    run_id, dag, dag_version, logical_date, asked_by, slot, only_jobs, force, state, cancel_requested, token,
    queued_at, started_at, finished_at, person, why, repairs, backfill
FROM runs
WHERE state IN ('queued', 'running')
ORDER BY queued_at DESC, logical_date DESC, n DESC, run_id DESC
