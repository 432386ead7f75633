-- Purpose: append an entry to the audit log; its hash covers the entry before it. Grain: one entry.
INSERT INTO audit_log (seq, at, run_id, job, attempt, entry, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7)
