-- Purpose: what a run needs to survive its process: one owner, a fence and budgets for each attempt, parts of outcomes,
--          what is still to be settled, and the schedule under which a watermark was moved; on SQLite.
-- Twin:    sql/migrations/postgres/0002_survival.sql, the same text.
-- Rule:    a migration that was released is never edited; the next change is the next number, in both folders.

-- The one owner of this state store. `epoch` rises with each owner; `counter` rises while an owner on a server lives.
CREATE TABLE ownership (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    epoch    BIGINT NOT NULL,
    owner    TEXT,
    role     TEXT,
    counter  BIGINT NOT NULL
);

INSERT INTO ownership (only_row, epoch, counter) VALUES (1, 0, 0);

DROP TABLE schedulers;

ALTER TABLE runs DROP COLUMN heartbeat_at;

DROP INDEX runs_by_state;
CREATE INDEX runs_open ON runs (queued_at) WHERE state IN ('queued', 'running');
CREATE INDEX runs_by_dag ON runs (dag, queued_at);

-- Budgets: failed tries count against the policy, lost attempts and superseded ones each against a budget of its own.
-- `not_before`: the instant before which the next attempt may not start.
ALTER TABLE jobs ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN lost BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN superseded BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN not_before BIGINT;

UPDATE jobs SET failures = (
    SELECT COUNT(*) FROM attempts AS a WHERE a.run_id = jobs.run_id AND a.job = jobs.job AND a.state = 'failed'
);
UPDATE jobs SET not_before = (
    SELECT a.retry_at FROM attempts AS a WHERE a.run_id = jobs.run_id AND a.job = jobs.job AND a.attempt = jobs.attempts
) WHERE state = 'retrying';

-- `fence`: the attempt's own fencing token. `ended_seq`: the number of the event that ended it, an order that no clock
-- can disturb. `dag`: for finding a job's last success.
ALTER TABLE attempts ADD COLUMN dag TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN fence TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN ended_seq BIGINT;

UPDATE attempts SET
    dag = (SELECT r.dag FROM runs AS r WHERE r.run_id = attempts.run_id),
    ended_seq = (SELECT MAX(e.seq) FROM events AS e WHERE e.run_id = attempts.run_id AND e.job = attempts.job)
WHERE state <> 'running';
UPDATE attempts SET dag = (SELECT r.dag FROM runs AS r WHERE r.run_id = attempts.run_id) WHERE state = 'running';

DROP INDEX attempts_by_job;
CREATE INDEX attempts_succeeded ON attempts (dag, job, ended_seq) WHERE state = 'succeeded';

-- Parts of outcomes that were committed before their attempt ended. Grain: part.
CREATE TABLE parts (
    run_id  TEXT   NOT NULL,
    job     TEXT   NOT NULL,
    part    BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    name    TEXT   NOT NULL,
    outcome TEXT   NOT NULL,
    PRIMARY KEY (run_id, job, part),
    FOREIGN KEY (run_id, job, attempt) REFERENCES attempts (run_id, job, attempt)
);

-- Whether a snapshot became current: one that a run for an earlier date makes stands for that run alone.
ALTER TABLE snapshots ADD COLUMN stands BIGINT NOT NULL DEFAULT 1;

-- The date of the run that moved a cursor: a run for an earlier date moves it no more.
ALTER TABLE cursors ADD COLUMN logical_date TEXT;

-- Files under fixed names, as the last commit wants them. Grain: key. `staged` is the folder in which its bytes lie.
CREATE TABLE published_files (
    key        TEXT   NOT NULL PRIMARY KEY,
    sha256     TEXT   NOT NULL,
    size_bytes BIGINT NOT NULL,
    staged     TEXT   NOT NULL,
    run_id     TEXT   NOT NULL,
    job        TEXT   NOT NULL,
    attempt    BIGINT NOT NULL
);

-- What must follow commits, one row for each target, until it is done. `wanted` rises with each commit that wants it.
CREATE TABLE to_settle (
    target     TEXT   NOT NULL PRIMARY KEY,
    wanted     BIGINT NOT NULL,
    since      BIGINT NOT NULL,
    tries      BIGINT NOT NULL,
    next_try   BIGINT NOT NULL,
    last_error TEXT
);

INSERT INTO to_settle (target, wanted, since, tries, next_try)
SELECT 'dataset ' || dataset, 1, 0, 0, 0 FROM current_snapshots;

-- The schedule by which a DAG's slots were dealt with last, as JSON: an edited one begins with its next slot.
ALTER TABLE watermarks ADD COLUMN schedule TEXT;

DELETE FROM slots WHERE skipped = 'first seen';
CREATE INDEX slots_skipped ON slots (dag, decided_at) WHERE skipped IS NOT NULL;
