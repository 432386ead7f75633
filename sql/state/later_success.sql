-- Purpose: whether a DAG's job has succeeded for a later date than $3 (the key of runs). At most one row.
SELECT r.run_id
FROM runs AS r
JOIN attempts AS a ON a.run_id = r.run_id
WHERE r.dag = $1 AND a.job = $2 AND r.logical_date > $3 AND a.state = 'succeeded'
LIMIT 1
