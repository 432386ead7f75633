-- Purpose: runs by id, DAG, date or openness, newest first. Parameters that are NULL (or 0 for `open`) do not filter.
SELECT
    run_id, dag, dag_version, logical_date, asked_by, slot, only_jobs, force, state, cancel_requested,
    queued_at, started_at, finished_at
FROM runs
WHERE ($1 IS NULL OR run_id = $1)
    AND ($2 IS NULL OR dag = $2)
    AND ($3 IS NULL OR logical_date = $3)
    AND ($4 = 0 OR state IN ('queued', 'running'))
ORDER BY queued_at DESC, logical_date DESC, n DESC, run_id DESC
LIMIT $5
