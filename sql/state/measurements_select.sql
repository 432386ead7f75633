-- Purpose: what a DAG measured under a name on the dates from $3 to before $4, oldest date first. Where several runs
--          measured it for one date, the run that measured it last counts, with all that it measured under that name.
-- Grain:   logical date, job, name, labels.
SELECT logical_date, job, name, labels, value, unit
FROM (
    SELECT
        logical_date, job, name, labels, value, unit, run_id,
        FIRST_VALUE(run_id) OVER (
            PARTITION BY logical_date, job, name
            ORDER BY measured_at DESC, run_id DESC
        ) AS last_run
    FROM measurements
    WHERE dag = $1 AND name = $2 AND logical_date >= $3 AND logical_date < $4
) AS ranked
WHERE run_id = last_run
ORDER BY logical_date, job, labels
