-- Purpose: record that an e-mail was handed over, whatever its stored state; the first report counts. Key: as in
-- `mails`.
UPDATE mails
SET state = 'sent', tries = tries + 1, ended_at = $6, sending_since = NULL, sending_by = NULL
WHERE dag = $1 AND logical_date = $2 AND audience = $3 AND recipient = $4 AND revision = $5
    AND state <> 'sent'
