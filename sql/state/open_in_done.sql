-- Purpose: open jobs in finished runs; there should be none. Grain: job.
SELECT j.run_id, j.job
FROM jobs AS j
JOIN runs AS r ON r.run_id = j.run_id
WHERE r.state NOT IN ('queued', 'running') AND j.state IN ('queued', 'running', 'retrying')
ORDER BY j.run_id, j.job
