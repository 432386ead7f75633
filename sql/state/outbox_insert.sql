-- Purpose: put an e-mail in the outbox, unless it is or was there: the same Message-ID never goes twice.
INSERT INTO outbox (
    message_id, sender, recipients, subject, message, run_id, job, queued_at, tries, next_try
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $8)
ON CONFLICT (message_id) DO NOTHING
