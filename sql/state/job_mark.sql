-- Purpose: set how a job of a finished run counts, as a person decided. Key: run_id, job.
UPDATE jobs
SET state = $3, error = $4
WHERE run_id = $1 AND job = $2
