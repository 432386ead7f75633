-- Purpose: delete measurements from before an instant, a few at a time. Grain: measurement.
DELETE FROM measurements
WHERE (run_id, job, name, labels) IN (
    SELECT run_id, job, name, labels
    FROM measurements
    WHERE measured_at < $1
    LIMIT $2
)
