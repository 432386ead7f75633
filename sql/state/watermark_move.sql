-- Purpose: move a schedule's watermark, forward only. Key: dag.
INSERT INTO watermarks (dag, slot)
VALUES ($1, $2)
ON CONFLICT (dag) DO UPDATE
SET slot = CASE WHEN excluded.slot > watermarks.slot THEN excluded.slot ELSE watermarks.slot END
