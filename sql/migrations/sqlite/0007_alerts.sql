-- Purpose: alerts, what became of them night by night, and what people did about them, on SQLite.
-- Twin:    sql/migrations/postgres/0007_alerts.sql, the same text.
-- Rule:    a migration that was released is never edited; the next change is the next number, in both folders.

-- Alerts: `state` is JSON as nights know it; a night's commit writes it and never what people did. Grain: alert.
CREATE TABLE alerts (
    alert           TEXT   NOT NULL PRIMARY KEY,
    dag             TEXT   NOT NULL,
    opened_on       TEXT   NOT NULL,
    resolved_on     TEXT,
    state           TEXT   NOT NULL,
    changed_at      BIGINT NOT NULL,
    acknowledged_by TEXT,
    acknowledged_why TEXT,
    silenced_until  BIGINT,
    silenced_by     TEXT,
    silenced_why    TEXT
);

CREATE INDEX alerts_standing ON alerts (dag, resolved_on);

-- What became of alerts, in order. Grain: alert and event.
CREATE TABLE alert_events (
    alert        TEXT   NOT NULL,
    logical_date TEXT   NOT NULL,
    event        TEXT   NOT NULL,
    at           BIGINT NOT NULL,
    PRIMARY KEY (alert, logical_date, event)
);

CREATE INDEX alert_events_by_time ON alert_events (at);
