-- Purpose: count a committed attempt as succeeded, or not any more: the last success of a job is found by this state.
-- Only the job's last attempt, and only if it has an outcome. Key: run_id, job.
UPDATE attempts
SET state = $3
WHERE run_id = $1
    AND job = $2
    AND outcome IS NOT NULL
    AND attempt = (SELECT j.attempts FROM jobs AS j WHERE j.run_id = $1 AND j.job = $2)
