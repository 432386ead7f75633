-- Purpose: mark a revision that was not handed over as replaced by another. Key: as in `mails`.
UPDATE mails
SET state = 'replaced', ended_at = $6, sending_since = NULL, sending_by = NULL
WHERE dag = $1 AND logical_date = $2 AND audience = $3 AND recipient = $4 AND revision = $5
    AND state <> 'sent'
