-- Purpose: the numbers that jobs measured, night by night, for reports, rules and comparisons, on PostgreSQL.
-- Twin:    sql/migrations/sqlite/0006_measurements.sql, the same text.
-- Rule:    a migration that was released is never edited; the next change is the next number, in both folders.

-- Measurements, written in the commit of the outcome that has them. They outlive their run, whose rows are kept for a
-- shorter time, so there is no reference. Labels are a JSON object with sorted keys. Grain: run, job, name, labels.
CREATE TABLE measurements (
    run_id       TEXT             NOT NULL,
    job          TEXT             NOT NULL,
    name         TEXT             NOT NULL,
    labels       TEXT             NOT NULL,
    dag          TEXT             NOT NULL,
    logical_date TEXT             NOT NULL,
    value        DOUBLE PRECISION NOT NULL,
    unit         TEXT             NOT NULL,
    measured_at  BIGINT           NOT NULL,
    PRIMARY KEY (run_id, job, name, labels)
);

CREATE INDEX measurements_by_date ON measurements (dag, name, logical_date);
CREATE INDEX measurements_by_age ON measurements (measured_at);
