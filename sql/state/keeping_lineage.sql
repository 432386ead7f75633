-- Purpose: delete the lineage of snapshots that no run has any more, a few at a time. Grain: snapshot and input.
DELETE FROM lineage
WHERE (dataset, snapshot, input) IN (
    SELECT l.dataset, l.snapshot, l.input
    FROM lineage AS l
    WHERE NOT EXISTS (SELECT 1 FROM snapshots AS s WHERE s.dataset = l.dataset AND s.snapshot = l.snapshot)
    LIMIT $1
)
