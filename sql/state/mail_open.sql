-- Purpose: what is promised, what waits, and what was given up since $1 unless its recipient got a later e-mail of the
-- same kind. Grain: revision.
SELECT
    m.dag, m.logical_date, m.audience, m.recipient, m.revision, m.state, m.address, m.header_to, m.promised_to,
    m.skipped, m.deadline_at, m.verdict, m.failed_jobs, m.message_id, m.subject, m.since, m.tries, m.last_error,
    m.ended_at
FROM mails AS m
WHERE m.state IN ('expected', 'waiting', 'given_up')
    AND (m.state <> 'given_up' OR m.ended_at >= $1)
    AND (m.state <> 'given_up' OR NOT EXISTS (
        SELECT 1
        FROM mails AS later
        WHERE later.dag = m.dag
            AND later.logical_date > m.logical_date
            AND later.audience = m.audience
            AND later.recipient = m.recipient
            AND later.state = 'sent'
    ))
ORDER BY m.since, m.dag, m.logical_date, m.audience, m.recipient, m.revision
