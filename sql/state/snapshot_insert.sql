-- Purpose: record a snapshot that an attempt commits. Grain: dataset and attempt.
INSERT INTO snapshots (
    run_id, job, attempt, dataset, snapshot, row_count, size_bytes, stale, inputs, committed_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
