-- Purpose: the e-mail of a night's audience that was handed over last, whoever got it. Grain: at most one row.
SELECT verdict, failed_jobs, subject, ended_at
FROM mails
WHERE dag = $1
    AND logical_date = $2
    AND audience = $3
    AND state = 'sent'
    AND verdict IS NOT NULL
    AND subject IS NOT NULL
    AND ended_at IS NOT NULL
ORDER BY ended_at DESC, revision DESC
LIMIT 1
