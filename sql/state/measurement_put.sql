-- Purpose: keep a number that a job measured. Grain: run, job, name, labels; the later attempt of a job counts.
INSERT INTO measurements (run_id, job, name, labels, dag, logical_date, value, unit, measured_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (run_id, job, name, labels) DO UPDATE
SET value = excluded.value, unit = excluded.unit, measured_at = excluded.measured_at
