-- Purpose: delete events of runs that ended before an instant, a few at a time. Grain: event.
DELETE FROM events
WHERE seq IN (
    SELECT e.seq
    FROM runs AS r
    JOIN events AS e ON e.run_id = r.run_id
    WHERE r.finished_at < $1 AND r.state NOT IN ('queued', 'running')
    LIMIT $2
)
