-- Purpose: the state and the budgets of a job, with its last attempt. Key: run_id, job.
SELECT j.state, j.attempts, j.lost, j.superseded, a.state AS attempt_state, a.fence
FROM jobs AS j
LEFT JOIN attempts AS a ON a.run_id = j.run_id AND a.job = j.job AND a.attempt = j.attempts
WHERE j.run_id = $1 AND j.job = $2
