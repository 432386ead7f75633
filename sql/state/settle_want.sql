-- Purpose: request that a target be settled (again). Key: target.
INSERT INTO to_settle (target, wanted, since, tries, next_try)
VALUES ($1, 1, $2, 0, 0)
ON CONFLICT (target) DO UPDATE
SET wanted = to_settle.wanted + 1, next_try = 0
