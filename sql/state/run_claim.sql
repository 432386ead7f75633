-- Purpose: take a run up under a new token; the holder of the earlier one can write no more. Key: run_id.
UPDATE runs
SET state = $2, token = token + 1, owner = $3, started_at = COALESCE(started_at, $4)
WHERE run_id = $1
RETURNING token
