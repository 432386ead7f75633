-- Purpose: the backfills with runs that are not done (index runs_open), oldest first. Grain: backfill.
SELECT b.backfill, b.dag, b.first_date, b.last_date, b.reprocess, b.parallel, b.asked_at
FROM backfills AS b
WHERE b.backfill IN (SELECT r.backfill FROM runs AS r WHERE r.state IN ('queued', 'running') AND r.backfill IS NOT NULL)
ORDER BY b.asked_at, b.backfill
