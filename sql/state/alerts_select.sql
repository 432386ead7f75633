-- Purpose: alerts of all DAGs, newest first: those that stand ($1 = 0), or all ($1 = 1). Grain: alert.
SELECT alert, state, acknowledged_by, acknowledged_why, silenced_until, silenced_by, silenced_why
FROM alerts
WHERE resolved_on IS NULL OR $1 = 1
ORDER BY opened_on DESC, alert
LIMIT $2
