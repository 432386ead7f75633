-- Purpose: entries of the audit log, newest first, of one run where $1 is not NULL. Grain: entry.
SELECT seq, at, run_id, job, entry
FROM audit_log
WHERE $1 IS NULL OR run_id = $1
ORDER BY seq DESC
LIMIT $2
