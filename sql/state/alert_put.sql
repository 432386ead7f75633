-- Purpose: keep an alert as a night leaves it; what people did about it stays. Grain: alert.
INSERT INTO alerts (alert, dag, opened_on, resolved_on, state, changed_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (alert) DO UPDATE
SET resolved_on = excluded.resolved_on, state = excluded.state, changed_at = excluded.changed_at
