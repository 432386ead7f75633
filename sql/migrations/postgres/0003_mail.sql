-- Purpose: one row for each revision of an e-mail to a recipient, in place of one for all recipients of a night, on PostgreSQL.
-- Twin:    sql/migrations/sqlite/0003_mail.sql; they differ in how JSON is read.
-- Rule:    a migration that was released is never edited; the next change is the next number, in both folders.

-- Bodies of e-mails, each once, whoever gets them. The id is the SHA-256 of the body; of those that the first form of
-- the outbox held it is their Message-ID. A body may be deleted once no row waits with it; the rows stay.
CREATE TABLE mail_bodies (
    id      TEXT   NOT NULL PRIMARY KEY,
    body    TEXT   NOT NULL,
    kept_at BIGINT NOT NULL
);

-- Revisions of e-mails: expected, waiting, sent, replaced or given_up. Grain: DAG, date, audience, recipient, revision.
-- The audience is the job that writes it. What is known from the promise on: promised_to (the slot's run),
-- skipped (why the slot has none), deadline_at, address, header_to. With its body: the columns from verdict to body;
-- a NULL in header_to means that the body is the whole message. sending_since: a conversation about it has begun.
CREATE TABLE mails (
    dag           TEXT   NOT NULL,
    logical_date  TEXT   NOT NULL,
    audience      TEXT   NOT NULL,
    recipient     TEXT   NOT NULL,
    revision      BIGINT NOT NULL,
    state         TEXT   NOT NULL,
    address       TEXT   NOT NULL,
    header_to     TEXT,
    promised_to   TEXT,
    skipped       TEXT,
    deadline_at   BIGINT,
    verdict       TEXT,
    failed_jobs   TEXT,
    message_id    TEXT,
    corrects      TEXT,
    sender        TEXT,
    subject       TEXT,
    body          TEXT,
    run_id        TEXT,
    since         BIGINT NOT NULL,
    tries         BIGINT NOT NULL,
    next_try      BIGINT,
    last_error    TEXT,
    sending_since BIGINT,
    sending_by    TEXT,
    ended_at      BIGINT,
    PRIMARY KEY (dag, logical_date, audience, recipient, revision)
);

CREATE INDEX mails_open ON mails (state, next_try) WHERE state IN ('expected', 'waiting', 'given_up');

INSERT INTO mail_bodies (id, body, kept_at)
SELECT message_id, message, queued_at FROM outbox;

INSERT INTO mails (
    dag, logical_date, audience, recipient, revision, state, address, message_id, sender, subject, body, run_id,
    since, tries, next_try, last_error, ended_at
)
SELECT
    r.dag, r.logical_date, o.job, LOWER(e.value),
    ROW_NUMBER() OVER (
        PARTITION BY r.dag, r.logical_date, o.job, LOWER(e.value) ORDER BY o.queued_at, o.message_id
    ) - 1,
    CASE WHEN o.sent_at IS NULL THEN 'waiting' ELSE 'sent' END, e.value, o.message_id, o.sender, o.subject,
    o.message_id, o.run_id, o.queued_at, o.tries, o.next_try, o.last_error, o.sent_at
FROM outbox AS o
JOIN runs AS r ON r.run_id = o.run_id
CROSS JOIN json_array_elements_text(o.recipients::json) AS e (value);

DROP TABLE outbox;

-- E-mails were stored with the outcomes too.
UPDATE attempts SET outcome = (outcome::jsonb - 'mails')::text
WHERE outcome LIKE '%"mails":[{%';
