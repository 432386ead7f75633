-- Purpose: note when something was done, or since when it holds. Key: name.
INSERT INTO marks (name, at)
VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET at = excluded.at
