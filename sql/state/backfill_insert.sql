-- Purpose: record a backfill; its runs follow in the same transaction. Grain: one backfill.
INSERT INTO backfills (backfill, dag, first_date, last_date, reprocess, parallel, asked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
