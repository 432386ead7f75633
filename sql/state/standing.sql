-- Purpose: the latest outcomes, for the same date, of the jobs that a run was not asked for, by job. Grain: job.
SELECT j.job, j.kind, j.state, j.attempts, j.started_at, j.finished_at, j.error, a.outcome, a.why
FROM jobs AS mine
JOIN runs AS r ON r.run_id = mine.run_id
JOIN runs AS other ON other.dag = r.dag AND other.logical_date = r.logical_date
JOIN attempts AS a ON a.run_id = other.run_id AND a.job = mine.job AND a.state = 'succeeded'
JOIN jobs AS j ON j.run_id = a.run_id AND j.job = a.job
WHERE mine.run_id = $1
    AND mine.state = 'skipped'
    AND mine.attempts = 0
    AND mine.error = $2
    AND a.ended_seq = (
        SELECT MAX(b.ended_seq)
        FROM runs AS o
        JOIN attempts AS b ON b.run_id = o.run_id
        WHERE o.dag = r.dag AND o.logical_date = r.logical_date AND b.job = mine.job AND b.state = 'succeeded'
    )
ORDER BY j.started_at, j.job
