-- Purpose: a job's next attempt begins; the first one's event also numbers the job among those begun. Key: run_id, job.
UPDATE jobs
SET state = $3,
    attempts = $4,
    started_at = COALESCE(started_at, $5),
    not_before = NULL,
    began = COALESCE(began, $6)
WHERE run_id = $1 AND job = $2
RETURNING
    job, kind, state, attempts, started_at, finished_at, error, failures, lost, not_before, CAST(NULL AS TEXT) AS outcome,
    CAST(NULL AS TEXT) AS why
