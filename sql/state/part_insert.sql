-- Purpose: keep a part of an outcome that was committed before its attempt ended. Grain: part.
INSERT INTO parts (run_id, job, part, attempt, name, outcome)
SELECT $1, $2, COALESCE(MAX(part), 0) + 1, $3, $4, $5
FROM parts
WHERE run_id = $1 AND job = $2
