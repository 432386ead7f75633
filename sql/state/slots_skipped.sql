-- Purpose: the slots that were skipped, newest first, of one DAG where $1 is not NULL. Grain: slot.
SELECT dag, slot, skipped
FROM slots
WHERE skipped IS NOT NULL AND ($1 IS NULL OR dag = $1)
ORDER BY slot DESC
LIMIT $2
