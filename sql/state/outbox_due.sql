-- Purpose: the e-mails whose next try is due, oldest first. Grain: e-mail.
SELECT message_id, sender, recipients, subject, message, queued_at, tries, last_error
FROM outbox
WHERE sent_at IS NULL AND next_try <= $1
ORDER BY queued_at, message_id
