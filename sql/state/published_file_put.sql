-- Purpose: record the file that a commit wants under a key. Key: key.
INSERT INTO published_files (key, sha256, size_bytes, staged, run_id, job, attempt)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (key) DO UPDATE
SET sha256 = excluded.sha256, size_bytes = excluded.size_bytes, staged = excluded.staged,
    run_id = excluded.run_id, job = excluded.job, attempt = excluded.attempt
