-- Purpose: end an e-mail that waits, without a try. Key: as in `mails`.
UPDATE mails
SET state = $6, last_error = $7, next_try = NULL, ended_at = $8, sending_since = NULL, sending_by = NULL
WHERE dag = $1 AND logical_date = $2 AND audience = $3 AND recipient = $4 AND revision = $5
    AND state = 'waiting'
