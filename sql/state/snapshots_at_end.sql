-- Purpose: the snapshots that a run used when it ended: for each dataset the one that it made itself, else the last
-- that was current by then (or is now, while the run goes on). Grain: dataset.
SELECT s.dataset, s.snapshot, s.row_count, s.size_bytes, s.stale, s.inputs
FROM snapshots AS s
JOIN runs AS mine ON mine.run_id = $1
JOIN attempts AS a ON a.run_id = s.run_id AND a.job = s.job AND a.attempt = s.attempt
WHERE (s.run_id = $1 OR (s.stands = 1 AND (mine.finished_at IS NULL OR s.committed_at <= mine.finished_at)))
ORDER BY s.dataset, CASE WHEN s.run_id = $1 THEN 1 ELSE 0 END, s.committed_at, a.ended_seq
