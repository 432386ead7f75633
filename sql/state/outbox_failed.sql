-- Purpose: record a failed try of an e-mail that was not sent meanwhile. Key: message_id.
UPDATE outbox
SET tries = tries + 1, last_error = $2, next_try = $3
WHERE message_id = $1 AND sent_at IS NULL
