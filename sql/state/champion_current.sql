-- Purpose: the champion of a model, and the DAG and date of the run that made it so. At most one row.
SELECT m.version, r.dag, r.logical_date
FROM models AS m
LEFT JOIN runs AS r ON r.run_id = m.run_id
WHERE m.model = $1 AND m.role = 'champion'
