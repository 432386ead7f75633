-- Purpose: promise a revision. Key: dag, logical_date, audience, recipient, revision.
INSERT INTO mails (
    dag, logical_date, audience, recipient, revision, state, address, header_to, promised_to, skipped, deadline_at,
    since, tries
)
VALUES ($1, $2, $3, $4, $5, 'expected', $6, $7, $8, $9, $10, $11, 0)
