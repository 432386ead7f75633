-- Purpose: record a new run, queued and without an owner. Grain: one run.
INSERT INTO runs (
    run_id, dag, dag_version, dag_hash, logical_date, n, asked_by, slot, only_jobs, force,
    state, cancel_requested, token, queued_at, person, why, repairs, backfill
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, $12, $13, $14, $15, $16)
