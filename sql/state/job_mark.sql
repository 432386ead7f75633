-- Purpose: how a job of a run that is done counts, after a person said so. Key: run_id, job.
UPDATE jobs
SET state = $3, error = $4
WHERE run_id = $1 AND job = $2
