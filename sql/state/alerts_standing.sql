-- Purpose: the alerts of a DAG that stand in a night: those not resolved, and those that the same night resolved.
--          Grain: alert.
SELECT alert, state, acknowledged_by, acknowledged_why, silenced_until, silenced_by, silenced_why
FROM alerts
WHERE dag = $1 AND opened_on <= $2 AND (resolved_on IS NULL OR resolved_on = $2)
ORDER BY opened_on, alert
