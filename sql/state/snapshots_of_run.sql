-- Purpose: the snapshots that a run made for itself alone, because it is for an earlier date; the last of each dataset.
SELECT s.dataset, s.snapshot, s.row_count, s.size_bytes, s.stale, s.inputs
FROM snapshots AS s
JOIN attempts AS a ON a.run_id = s.run_id AND a.job = s.job AND a.attempt = s.attempt
WHERE s.run_id = $1 AND s.stands = 0
ORDER BY s.dataset, s.committed_at, a.ended_seq
