-- Purpose: delete what became of alerts before an instant, a few at a time. Grain: alert, night, event.
DELETE FROM alert_events
WHERE (alert, logical_date, event) IN (
    SELECT alert, logical_date, event
    FROM alert_events
    WHERE at < $1
    LIMIT $2
)
