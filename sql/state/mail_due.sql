-- Purpose: the e-mails that wait, whose next try is due and which no process is sending, with their bodies, oldest
-- first. Grain: revision.
SELECT
    m.dag, m.logical_date, m.audience, m.recipient, m.revision, m.message_id, m.corrects, m.sender, m.address,
    m.header_to, b.body, m.since, m.tries
FROM mails AS m
JOIN mail_bodies AS b ON b.id = m.body
WHERE m.state = 'waiting'
    AND m.next_try <= $1
    AND m.sending_since IS NULL
ORDER BY m.since, m.dag, m.logical_date, m.audience, m.recipient, m.revision
