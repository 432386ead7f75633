-- Purpose: allocate the next number of a DAG's runs for a date; the row stays locked until the run is inserted.
INSERT INTO run_numbers (dag, logical_date, n)
VALUES ($1, $2, 1)
ON CONFLICT (dag, logical_date) DO UPDATE SET n = run_numbers.n + 1
RETURNING n
