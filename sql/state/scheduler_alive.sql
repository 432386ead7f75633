-- Purpose: say until when a scheduler is believed to live. Key: owner.
INSERT INTO schedulers (owner, alive_until)
VALUES ($1, $2)
ON CONFLICT (owner) DO UPDATE SET alive_until = excluded.alive_until
