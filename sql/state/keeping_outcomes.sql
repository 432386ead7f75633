-- Purpose: delete the outcomes of attempts that ended before an instant, a few at a time; never in an open run, never
-- the last success of a job. Grain: attempt.
UPDATE attempts
SET outcome = NULL
WHERE (run_id, job, attempt) IN (
    SELECT ended.run_id, ended.job, ended.attempt
    FROM (
        SELECT
            a.run_id, a.job, a.attempt, a.outcome, a.finished_at, a.state,
            RANK() OVER (PARTITION BY a.dag, a.job, a.state ORDER BY a.ended_seq DESC) AS place
        FROM attempts AS a
        JOIN runs AS r ON r.run_id = a.run_id
        WHERE r.state NOT IN ('queued', 'running')
    ) AS ended
    WHERE ended.outcome IS NOT NULL AND ended.finished_at < $1 AND (ended.state <> 'succeeded' OR ended.place > 1)
    LIMIT $2
)
