-- Purpose: what limits the state store's growth needs, and what a restored backup leaves, on SQLite.
-- Twin:    sql/migrations/postgres/0004_keeping.sql, the same text.
-- Rule:    a migration that was released is never edited; the next change is the next number, in both folders.

-- When something was last done, or since when something holds: `kept` (what is beyond its limits was removed),
-- `restored` (a backup was put back, and state and lake have not been found to agree since). Grain: name.
CREATE TABLE marks (
    name TEXT   NOT NULL PRIMARY KEY,
    at   BIGINT NOT NULL
);

-- Deleting a run asks who refers to it, and whether its DAG's form is still of use.
CREATE INDEX slots_by_run ON slots (run_id);
CREATE INDEX runs_by_dag_hash ON runs (dag_hash);
