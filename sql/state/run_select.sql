-- Purpose: one run by its id.
SELECT
    run_id, dag, dag_version, logical_date, asked_by, slot, only_jobs, force, state, cancel_requested, token,
    queued_at, started_at, finished_at, person, why, repairs, backfill
FROM runs
WHERE run_id = $1
