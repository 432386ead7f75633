-- Purpose: a job's next attempt begins; its first one also numbers the job among those begun. Key: run_id, job.
UPDATE jobs
SET state = $3,
    attempts = $4,
    started_at = COALESCE(started_at, $5),
    not_before = NULL,
    began = COALESCE(began, (SELECT COALESCE(MAX(other.began), 0) + 1 FROM jobs AS other WHERE other.run_id = $1))
WHERE run_id = $1 AND job = $2
