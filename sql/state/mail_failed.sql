-- Purpose: record a try that failed, and the state that follows from it. Key: as in `mails`.
UPDATE mails
SET state = $6, tries = tries + 1, last_error = $7, next_try = $8, ended_at = $9, sending_since = NULL,
    sending_by = NULL
WHERE dag = $1 AND logical_date = $2 AND audience = $3 AND recipient = $4 AND revision = $5
    AND state = 'waiting'
