-- Purpose: a job's state after an event, and the budgets that the event uses up. Key: run_id, job.
UPDATE jobs
SET state = $3,
    finished_at = $4,
    error = $5,
    not_before = $6,
    failures = failures + $7,
    lost = lost + $8,
    superseded = superseded + $9
WHERE run_id = $1 AND job = $2
RETURNING
    job, kind, state, attempts, started_at, finished_at, error, failures, lost, not_before, CAST(NULL AS TEXT) AS outcome,
    CAST(NULL AS TEXT) AS why
