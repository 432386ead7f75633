-- Purpose: the parts of a run's other jobs that failed or were cancelled after they had committed them. Grain: part.
SELECT p.outcome
FROM parts AS p
JOIN jobs AS j ON j.run_id = p.run_id AND j.job = p.job
WHERE p.run_id = $1 AND p.job <> $2 AND j.state IN ('failed', 'cancelled')
ORDER BY p.job, p.part
