-- Purpose: the last success of a DAG's job for one logical date (the key of dag, logical_date and n). At most one row.
SELECT r.run_id, r.logical_date, a.fingerprint, a.outcome
FROM runs AS r
JOIN attempts AS a ON a.run_id = r.run_id
WHERE r.dag = $1 AND r.logical_date = $3 AND a.job = $2 AND a.state = 'succeeded'
ORDER BY a.ended_seq DESC
LIMIT 1
