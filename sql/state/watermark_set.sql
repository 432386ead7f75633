-- Purpose: set a schedule's watermark, and the schedule by which its slots are processed from now on. Key: dag.
INSERT INTO watermarks (dag, slot, schedule)
VALUES ($1, $2, $3)
ON CONFLICT (dag) DO UPDATE SET slot = excluded.slot, schedule = excluded.schedule
