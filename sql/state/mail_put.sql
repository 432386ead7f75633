-- Purpose: insert a waiting revision with its body; a promised one is filled. Key: dag, logical_date, audience,
-- recipient, revision.
INSERT INTO mails (
    dag, logical_date, audience, recipient, revision, state, address, header_to, verdict, failed_jobs, message_id,
    corrects, sender, subject, body, run_id, since, tries, next_try
)
VALUES ($1, $2, $3, $4, $5, 'waiting', $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 0, $16)
ON CONFLICT (dag, logical_date, audience, recipient, revision) DO UPDATE
SET state = excluded.state, address = excluded.address, header_to = excluded.header_to, verdict = excluded.verdict,
    failed_jobs = excluded.failed_jobs, message_id = excluded.message_id, corrects = excluded.corrects,
    sender = excluded.sender, subject = excluded.subject, body = excluded.body, run_id = excluded.run_id,
    since = excluded.since, next_try = excluded.next_try
