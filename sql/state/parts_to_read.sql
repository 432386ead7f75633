-- Purpose: the parts that a job has committed in its run, and those of the run's jobs that failed or were cancelled
-- after they had committed them. Grain: part.
SELECT p.job, p.name, p.outcome
FROM parts AS p
JOIN jobs AS j ON j.run_id = p.run_id AND j.job = p.job
WHERE p.run_id = $1 AND (p.job = $2 OR j.state IN ('failed', 'cancelled'))
ORDER BY p.job, p.part
