-- Purpose: forget the texts of e-mails that were sent before an instant, a few at a time. Grain: e-mail.
UPDATE outbox
SET message = ''
WHERE message_id IN (SELECT message_id FROM outbox WHERE sent_at < $1 AND message <> '' LIMIT $2)
