-- Purpose: the last success of a DAG's job, for one logical date or (NULL) for any. At most one row.
SELECT r.run_id, r.logical_date, a.fingerprint, a.outcome
FROM attempts AS a
JOIN runs AS r ON r.run_id = a.run_id
WHERE r.dag = $1
    AND a.outcome IS NOT NULL
    AND a.job = $2
    AND a.state = 'succeeded'
    AND ($3 IS NULL OR r.logical_date = $3)
ORDER BY a.finished_at DESC, r.queued_at DESC, r.logical_date DESC, r.n DESC
LIMIT 1
