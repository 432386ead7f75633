-- Purpose: the current snapshot of every dataset, by its key. Grain: dataset.
SELECT s.dataset, s.snapshot, s.row_count, s.size_bytes, s.stale, s.inputs
FROM current_snapshots AS c
JOIN snapshots AS s
    ON s.run_id = c.run_id AND s.job = c.job AND s.attempt = c.attempt AND s.dataset = c.dataset
ORDER BY s.dataset
