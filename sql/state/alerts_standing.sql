-- Purpose: the alerts of a DAG that a night knows: those not resolved, and those resolved since a date ($3), by the same
--          night too.
--          Grain: alert.
SELECT alert, state, acknowledged_by, acknowledged_why, silenced_until, silenced_by, silenced_why
FROM alerts
WHERE dag = $1 AND opened_on <= $2 AND (resolved_on IS NULL OR (resolved_on <= $2 AND resolved_on >= $3))
ORDER BY opened_on, alert
