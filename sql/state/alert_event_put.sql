-- Purpose: keep what became of an alert in a night, once. Grain: alert, night, event.
INSERT INTO alert_events (alert, logical_date, event, at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (alert, logical_date, event) DO NOTHING
