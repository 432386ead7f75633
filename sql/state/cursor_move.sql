-- Purpose: move a source's cursor. Key: name (`<source>/<table>`).
INSERT INTO cursors (name, position, moved_at, logical_date)
VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE
SET position = excluded.position, moved_at = excluded.moved_at, logical_date = excluded.logical_date
