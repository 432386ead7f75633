-- Purpose: one job of a run, with the outcome of the attempt that succeeded (always the last one). Key: run_id, job.
SELECT
    j.job, j.kind, j.state, j.attempts, j.started_at, j.finished_at, j.error, j.failures, j.lost, j.not_before, a.outcome, a.why
FROM jobs AS j
LEFT JOIN attempts AS a ON a.run_id = j.run_id AND a.job = j.job AND a.attempt = j.attempts
WHERE j.run_id = $1 AND j.job = $2
