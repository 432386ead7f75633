-- Purpose: give a run to a new owner; whoever held the earlier token writes no more. Key: run_id.
UPDATE runs
SET state = $2, token = token + 1, owner = $3, heartbeat_at = $4, started_at = COALESCE(started_at, $4)
WHERE run_id = $1
RETURNING token
