-- Purpose: the e-mails that wait, whose next try is due and which no process is sending, with their bodies, oldest
-- first. `newer`: the latest date after its own for which the recipient was written the same kind of e-mail after this
-- one, unless that was replaced or given up. Grain: revision.
SELECT
    m.dag, m.logical_date, m.audience, m.recipient, m.revision, m.message_id, m.corrects, m.sender, m.address,
    m.header_to, m.verdict, b.body, m.since, m.tries,
    (
        SELECT MAX(later.logical_date)
        FROM mails AS later
        WHERE later.dag = m.dag
            AND later.logical_date > m.logical_date
            AND later.audience = m.audience
            AND later.recipient = m.recipient
            AND later.state IN ('waiting', 'sent')
            AND later.since >= m.since
    ) AS newer
FROM mails AS m
JOIN mail_bodies AS b ON b.id = m.body
WHERE m.state = 'waiting'
    AND m.next_try <= $1
    AND m.sending_since IS NULL
ORDER BY m.since, m.dag, m.logical_date, m.audience, m.recipient, m.revision
