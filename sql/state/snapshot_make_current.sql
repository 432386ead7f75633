-- Purpose: make a committed snapshot the one that readers get. Key: dataset.
INSERT INTO current_snapshots (dataset, run_id, job, attempt)
VALUES ($1, $2, $3, $4)
ON CONFLICT (dataset) DO UPDATE
SET run_id = excluded.run_id, job = excluded.job, attempt = excluded.attempt
