-- Purpose: a run's jobs with the outcome of the attempt that succeeded (always the last one), in the order in which
-- they began, then those not begun by name. Grain: one job.
SELECT
    j.job, j.kind, j.state, j.attempts, j.started_at, j.finished_at, j.error, j.failures, j.lost, j.not_before, a.outcome, a.why
FROM jobs AS j
LEFT JOIN attempts AS a ON a.run_id = j.run_id AND a.job = j.job AND a.attempt = j.attempts
WHERE j.run_id = $1
ORDER BY CASE WHEN j.began IS NULL THEN 1 ELSE 0 END, j.began, j.job
