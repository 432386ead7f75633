-- Purpose: take an e-mail for sending, if it still waits and no process has taken it. Key: as in `mails`.
UPDATE mails
SET sending_since = $6, sending_by = $7
WHERE dag = $1 AND logical_date = $2 AND audience = $3 AND recipient = $4 AND revision = $5
    AND state = 'waiting' AND sending_since IS NULL
