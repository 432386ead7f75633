-- Purpose: record an attempt that begins, under the run's current owner and token. Grain: one attempt.
INSERT INTO attempts (run_id, job, attempt, state, owner, token, started_at, dag, fence)
SELECT run_id, $2, $3, 'running', COALESCE(owner, ''), token, $4, dag, $5
FROM runs
WHERE run_id = $1
