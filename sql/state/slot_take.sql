-- Purpose: take a schedule's slot for good; no row changes if it is taken already. Key: dag, slot.
INSERT INTO slots (dag, slot, run_id, skipped, decided_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (dag, slot) DO NOTHING
