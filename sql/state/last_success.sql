-- Purpose: the last success of a DAG's job, whatever its date (index attempts_succeeded). At most one row.
SELECT r.run_id, r.logical_date, a.fingerprint, a.outcome
FROM attempts AS a
JOIN runs AS r ON r.run_id = a.run_id
WHERE a.dag = $1 AND a.job = $2 AND a.state = 'succeeded' AND a.outcome IS NOT NULL
ORDER BY a.ended_seq DESC
LIMIT 1
