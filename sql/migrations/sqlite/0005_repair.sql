-- Purpose: what repairing needs: who asked for a run by hand and why, what it repairs, backfills, pauses, and why each
--          job ran, on SQLite.
-- Twin:    sql/migrations/postgres/0005_repair.sql, the same text.
-- Rule:    a migration that was released is never edited; the next change is the next number, in both folders.

-- Why the job ran, or that it was up to date, as JSON. `fingerprint` is JSON from here on: a hash for each entry.
ALTER TABLE attempts ADD COLUMN why TEXT;

-- Of a run that was asked for by hand: by whom, why, the run that it repairs, and the backfill to which it belongs.
ALTER TABLE runs ADD COLUMN person TEXT;
ALTER TABLE runs ADD COLUMN why TEXT;
ALTER TABLE runs ADD COLUMN repairs TEXT;
ALTER TABLE runs ADD COLUMN backfill TEXT;

CREATE INDEX runs_by_backfill ON runs (backfill) WHERE backfill IS NOT NULL;

-- Backfills: a DAG's runs for a range of dates, asked for at once. Its runs are made with it, in one transaction.
CREATE TABLE backfills (
    backfill   TEXT   NOT NULL PRIMARY KEY,
    dag        TEXT   NOT NULL,
    first_date TEXT   NOT NULL,
    last_date  TEXT   NOT NULL,
    reprocess  TEXT   NOT NULL,
    parallel   BIGINT NOT NULL,
    asked_at   BIGINT NOT NULL
);

-- DAGs whose schedule is paused: their slots are skipped. Grain: DAG.
CREATE TABLE pauses (
    dag    TEXT   NOT NULL PRIMARY KEY,
    since  BIGINT NOT NULL,
    person TEXT   NOT NULL,
    why    TEXT
);
