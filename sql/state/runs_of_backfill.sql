-- Purpose: the runs of a backfill in the order in which they were asked for (index runs_by_backfill).
SELECT
    run_id, dag, dag_version, logical_date, asked_by, slot, only_jobs, force, state, cancel_requested, token,
    queued_at, started_at, finished_at, person, why, repairs, backfill
FROM runs
WHERE backfill = $1
ORDER BY queued_at, run_id
