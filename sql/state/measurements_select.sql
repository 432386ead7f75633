-- Purpose: what a DAG measured under a name on the dates from $3 to before $4, oldest date first. Where several runs
--          measured it for one date, the newest measurement counts.
-- Grain:   logical date, job, name, labels.
SELECT logical_date, job, name, labels, value, unit
FROM (
    SELECT
        logical_date, job, name, labels, value, unit,
        ROW_NUMBER() OVER (
            PARTITION BY logical_date, job, name, labels
            ORDER BY measured_at DESC, run_id DESC
        ) AS place
    FROM measurements
    WHERE dag = $1 AND name = $2 AND logical_date >= $3 AND logical_date < $4
) AS ranked
WHERE place = 1
ORDER BY logical_date, job, labels
