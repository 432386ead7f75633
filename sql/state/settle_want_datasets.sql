-- Purpose: request that every current dataset be settled again. Grain: dataset.
INSERT INTO to_settle (target, wanted, since, tries, next_try)
SELECT 'dataset ' || dataset, 1, $1, 0, 0
FROM current_snapshots
WHERE true
ON CONFLICT (target) DO UPDATE
SET wanted = to_settle.wanted + 1, next_try = 0
