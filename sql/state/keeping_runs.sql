-- Purpose: every run, and whether something in use refers to it: a current snapshot, a model in use or under trial, an
-- e-mail that was not sent, or the last success of a job. Grain: run.
WITH last_successes AS (
    SELECT a.run_id, RANK() OVER (PARTITION BY a.dag, a.job ORDER BY a.ended_seq DESC) AS place
    FROM attempts AS a
    WHERE a.state = 'succeeded'
),
in_use AS (
    SELECT run_id FROM current_snapshots
    UNION
    SELECT run_id FROM models WHERE role <> 'retired'
    UNION
    SELECT run_id FROM mails WHERE state = 'waiting' AND run_id IS NOT NULL
    UNION
    SELECT run_id FROM last_successes WHERE place = 1
)
SELECT
    r.run_id, r.dag, r.queued_at,
    CASE WHEN r.state IN ('queued', 'running') THEN NULL ELSE COALESCE(r.finished_at, r.queued_at) END AS ended_at,
    CAST(CASE WHEN u.run_id IS NULL THEN 0 ELSE 1 END AS BIGINT) AS is_in_use
FROM runs AS r
LEFT JOIN in_use AS u ON u.run_id = r.run_id
