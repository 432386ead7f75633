-- Purpose: record a revision that a process other than the owner handed over; a promised one is filled. Key: dag,
-- logical_date, audience, recipient, revision.
INSERT INTO mails (
    dag, logical_date, audience, recipient, revision, state, address, header_to, verdict, failed_jobs, message_id,
    sender, subject, since, tries, ended_at
)
VALUES ($1, $2, $3, $4, $5, 'sent', $6, $7, $8, $9, $10, $11, $12, $13, 1, $13)
ON CONFLICT (dag, logical_date, audience, recipient, revision) DO UPDATE
SET state = excluded.state, address = excluded.address, header_to = excluded.header_to, verdict = excluded.verdict,
    failed_jobs = excluded.failed_jobs, message_id = excluded.message_id, sender = excluded.sender,
    subject = excluded.subject, tries = excluded.tries, ended_at = excluded.ended_at
