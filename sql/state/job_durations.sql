-- Purpose: how long the last successes of a DAG's job took, in microseconds, newest first, without those that had
-- nothing to do. Grain: attempt.
SELECT a.finished_at - a.started_at AS took
FROM attempts AS a
JOIN runs AS r ON r.run_id = a.run_id
WHERE a.job = $2
    AND a.state = 'succeeded'
    AND r.dag = $1
    AND a.outcome NOT LIKE '%"reason":"up_to_date"%'
ORDER BY a.finished_at DESC
LIMIT $3
