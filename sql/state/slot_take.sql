-- Purpose: take a schedule's slot, once and for all; no row changes when it is taken. Key: dag, slot.
INSERT INTO slots (dag, slot, run_id, skipped, decided_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (dag, slot) DO NOTHING
