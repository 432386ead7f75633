-- Purpose: forget what the successes of a job were made from that have the inputs of an attempt which a person marked as
-- failed: none of them makes the next run up to date. Key: run_id, job of the marked attempt.
UPDATE attempts
SET fingerprint = NULL
WHERE job = $2
    AND dag = (SELECT r.dag FROM runs AS r WHERE r.run_id = $1)
    AND fingerprint = (
        SELECT m.fingerprint
        FROM attempts AS m
        JOIN jobs AS j ON j.run_id = m.run_id AND j.job = m.job AND j.attempts = m.attempt
        WHERE m.run_id = $1 AND m.job = $2
    )
