-- Purpose: record a snapshot that an attempt commits. Grain: dataset and attempt; a later part replaces an earlier one.
INSERT INTO snapshots (
    run_id, job, attempt, dataset, snapshot, row_count, size_bytes, stale, inputs, committed_at, stands
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (run_id, job, attempt, dataset) DO UPDATE
SET snapshot = excluded.snapshot, row_count = excluded.row_count, size_bytes = excluded.size_bytes,
    stale = excluded.stale, inputs = excluded.inputs, committed_at = excluded.committed_at, stands = excluded.stands
