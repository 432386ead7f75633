-- Purpose: delete alerts that were resolved, and last changed, before an instant, a few at a time. Grain: alert.
DELETE FROM alerts
WHERE alert IN (
    SELECT alert
    FROM alerts
    WHERE resolved_on IS NOT NULL AND changed_at < $1
    LIMIT $2
)
