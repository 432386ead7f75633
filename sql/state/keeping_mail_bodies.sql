-- Purpose: delete the texts of e-mails that were stored before an instant and that no waiting row needs, a few at a
-- time. Grain: body.
DELETE FROM mail_bodies
WHERE id IN (
    SELECT b.id
    FROM mail_bodies AS b
    WHERE b.kept_at < $1
        AND NOT EXISTS (SELECT 1 FROM mails AS m WHERE m.body = b.id AND m.state IN ('expected', 'waiting'))
    LIMIT $2
)
