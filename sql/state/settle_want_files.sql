-- Purpose: request that the files of the three newest runs be put in place again. Grain: file.
INSERT INTO to_settle (target, wanted, since, tries, next_try)
SELECT 'file ' || key, 1, $1, 0, 0
FROM published_files
WHERE run_id IN (SELECT run_id FROM runs ORDER BY queued_at DESC LIMIT 3)
ON CONFLICT (target) DO UPDATE
SET wanted = to_settle.wanted + 1, next_try = 0
