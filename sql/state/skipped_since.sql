-- Purpose: a DAG's slots that were skipped since its last run for a slot other than this one (index slots_skipped).
SELECT s.dag, s.slot, s.skipped
FROM slots AS s
WHERE s.dag = $1
    AND s.skipped IS NOT NULL
    AND s.slot > COALESCE(
        (SELECT MAX(t.slot) FROM slots AS t WHERE t.dag = $1 AND t.run_id IS NOT NULL AND t.run_id <> $2), 0
    )
ORDER BY s.slot
LIMIT 1000
