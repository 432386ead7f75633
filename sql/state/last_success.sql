-- Purpose: the last success of a DAG's job for its newest date: what a run for an earlier date makes counts for that run
-- alone, so it is not what the next run goes on from. At most one row (the key of runs: dag, logical_date, n).
SELECT r.run_id, r.logical_date, a.fingerprint, a.outcome
FROM runs AS r
JOIN attempts AS a ON a.run_id = r.run_id
WHERE r.dag = $1 AND a.job = $2 AND a.state = 'succeeded' AND a.outcome IS NOT NULL
ORDER BY r.logical_date DESC, a.ended_seq DESC
LIMIT 1
