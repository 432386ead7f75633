-- Purpose: record how an attempt ended; only a running one can. Key: run_id, job, attempt.
UPDATE attempts
SET state = $4, finished_at = $5, retry_at = $6, error = $7, fingerprint = $8, outcome = $9, ended_seq = $10, why = $11
WHERE run_id = $1 AND job = $2 AND attempt = $3 AND state = 'running'
