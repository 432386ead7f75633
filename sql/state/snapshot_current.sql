-- Purpose: the current snapshot of a dataset, and the DAG and date of the run that made it so. At most one row.
SELECT s.snapshot, r.dag, r.logical_date
FROM current_snapshots AS c
JOIN snapshots AS s
    ON s.run_id = c.run_id AND s.job = c.job AND s.attempt = c.attempt AND s.dataset = c.dataset
JOIN runs AS r ON r.run_id = c.run_id
WHERE c.dataset = $1
