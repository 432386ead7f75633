-- Purpose: delete slots that were skipped before an instant, a few at a time. Grain: slot.
DELETE FROM slots
WHERE (dag, slot) IN (SELECT dag, slot FROM slots WHERE skipped IS NOT NULL AND decided_at < $1 LIMIT $2)
