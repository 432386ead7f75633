-- Purpose: lock a run that is about to be deleted, unless it is open. Key: run_id.
UPDATE runs
SET token = token
WHERE run_id = $1 AND state NOT IN ('queued', 'running')
RETURNING run_id
