-- Purpose: the revisions of a night's e-mails, of one audience (or with NULL all), by audience, recipient and number.
-- `promise_is_open`: whether the run with the promise may still keep it. Grain: revision.
SELECT
    m.dag, m.logical_date, m.audience, m.recipient, m.revision, m.state, m.address, m.header_to, m.promised_to,
    m.skipped, m.deadline_at, m.verdict, m.failed_jobs, m.message_id, m.corrects, m.sender, m.subject, m.body, m.since,
    m.tries, m.last_error, m.sending_since, m.ended_at,
    CAST(CASE WHEN r.state IN ('queued', 'running') THEN 1 ELSE 0 END AS BIGINT) AS promise_is_open
FROM mails AS m
LEFT JOIN runs AS r ON r.run_id = m.promised_to
WHERE m.dag = $1
    AND m.logical_date = $2
    AND (m.audience = $3 OR $3 IS NULL)
ORDER BY m.audience, m.recipient, m.revision
