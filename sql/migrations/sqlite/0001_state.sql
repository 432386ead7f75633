-- Purpose: everything Nocturne knows about its own work, on SQLite.
-- Types:   ids and JSON are TEXT, instants are BIGINT microseconds UTC, yes and no are BIGINT 1 and 0; so that the
--          statements under sql/state are the same text on both databases.
-- Twin:    sql/migrations/postgres/0001_state.sql; the two differ only in the key of `events`.
-- Rule:    a migration that was released is never edited; the next change is the next number, in both folders.

-- Every form of a DAG that was ever run. Grain: one text of the validated DAG. The hash is of `body`, because
-- overrides on the command line change a DAG without changing its file's version.
CREATE TABLE dag_versions (
    content_hash  TEXT   NOT NULL PRIMARY KEY,
    dag           TEXT   NOT NULL,
    version       TEXT   NOT NULL,
    body          TEXT   NOT NULL,
    first_seen_at BIGINT NOT NULL
);

-- The last number given to a run of a DAG for a date. Updating it also makes two creators wait for each other.
CREATE TABLE run_numbers (
    dag          TEXT   NOT NULL,
    logical_date TEXT   NOT NULL,
    n            BIGINT NOT NULL,
    PRIMARY KEY (dag, logical_date)
);

-- Runs. `token` is the fencing token: it rises with each owner, and a write needs the present one.
CREATE TABLE runs (
    run_id           TEXT   NOT NULL PRIMARY KEY,
    dag              TEXT   NOT NULL,
    dag_version      TEXT   NOT NULL,
    dag_hash         TEXT   NOT NULL REFERENCES dag_versions (content_hash),
    logical_date     TEXT   NOT NULL,
    n                BIGINT NOT NULL,
    asked_by         TEXT   NOT NULL,
    slot             BIGINT,
    only_jobs        TEXT,
    force            TEXT   NOT NULL,
    state            TEXT   NOT NULL,
    cancel_requested BIGINT NOT NULL,
    token            BIGINT NOT NULL,
    owner            TEXT,
    heartbeat_at     BIGINT,
    queued_at        BIGINT NOT NULL,
    started_at       BIGINT,
    finished_at      BIGINT,
    UNIQUE (dag, logical_date, n)
);

CREATE INDEX runs_by_time ON runs (queued_at);
CREATE INDEX runs_by_state ON runs (state);

-- Jobs of a run. `began` numbers them in the order of their first attempts.
CREATE TABLE jobs (
    run_id      TEXT   NOT NULL REFERENCES runs (run_id),
    job         TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    attempts    BIGINT NOT NULL,
    began       BIGINT,
    started_at  BIGINT,
    finished_at BIGINT,
    error       TEXT,
    PRIMARY KEY (run_id, job)
);

-- Attempts: running, succeeded, failed, lost or cancelled.
CREATE TABLE attempts (
    run_id      TEXT   NOT NULL,
    job         TEXT   NOT NULL,
    attempt     BIGINT NOT NULL,
    state       TEXT   NOT NULL,
    owner       TEXT   NOT NULL,
    token       BIGINT NOT NULL,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT,
    retry_at    BIGINT,
    error       TEXT,
    fingerprint TEXT,
    outcome     TEXT,
    PRIMARY KEY (run_id, job, attempt),
    FOREIGN KEY (run_id, job) REFERENCES jobs (run_id, job)
);

CREATE INDEX attempts_by_job ON attempts (job, state, finished_at);

-- What happened, in order; written in the transaction that makes it so.
CREATE TABLE events (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    at     BIGINT NOT NULL,
    run_id TEXT   NOT NULL REFERENCES runs (run_id),
    job    TEXT,
    event  TEXT   NOT NULL
);

CREATE INDEX events_by_run ON events (run_id, seq);

-- Every snapshot that was ever committed. Grain: dataset and attempt. What no row names is garbage in the lake.
CREATE TABLE snapshots (
    run_id       TEXT   NOT NULL,
    job          TEXT   NOT NULL,
    attempt      BIGINT NOT NULL,
    dataset      TEXT   NOT NULL,
    snapshot     TEXT   NOT NULL,
    row_count    BIGINT NOT NULL,
    size_bytes   BIGINT NOT NULL,
    stale        BIGINT NOT NULL,
    inputs       TEXT   NOT NULL,
    committed_at BIGINT NOT NULL,
    PRIMARY KEY (run_id, job, attempt, dataset),
    FOREIGN KEY (run_id, job, attempt) REFERENCES attempts (run_id, job, attempt)
);

CREATE INDEX snapshots_by_dataset ON snapshots (dataset, snapshot);

-- The commit that made each dataset what it is now.
CREATE TABLE current_snapshots (
    dataset TEXT   NOT NULL PRIMARY KEY,
    run_id  TEXT   NOT NULL,
    job     TEXT   NOT NULL,
    attempt BIGINT NOT NULL,
    FOREIGN KEY (run_id, job, attempt, dataset) REFERENCES snapshots (run_id, job, attempt, dataset)
);

-- What a snapshot was made from. Grain: snapshot and input (`dataset@snapshot`).
CREATE TABLE lineage (
    dataset  TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    input    TEXT NOT NULL,
    PRIMARY KEY (dataset, snapshot, input)
);

CREATE INDEX lineage_by_input ON lineage (input);

-- How far each source was read, by `<source>/<table>`.
CREATE TABLE cursors (
    name     TEXT   NOT NULL PRIMARY KEY,
    position TEXT   NOT NULL,
    moved_at BIGINT NOT NULL
);

-- One row per model name: whoever changes the roles of a model's versions updates it first, so two never meet.
CREATE TABLE model_names (
    model      TEXT   NOT NULL PRIMARY KEY,
    changed_at BIGINT NOT NULL
);

-- Model versions. At most one champion per model.
CREATE TABLE models (
    model       TEXT   NOT NULL REFERENCES model_names (model),
    version     TEXT   NOT NULL,
    role        TEXT   NOT NULL,
    artefact    TEXT   NOT NULL,
    why         TEXT   NOT NULL,
    card        TEXT   NOT NULL,
    recorded_at BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL,
    run_id      TEXT   NOT NULL,
    job         TEXT   NOT NULL,
    attempt     BIGINT NOT NULL,
    PRIMARY KEY (model, version)
);

CREATE UNIQUE INDEX models_one_champion ON models (model) WHERE role = 'champion';

-- E-mails, finished and waiting or sent. The Message-ID is the key: the same e-mail is never there twice.
CREATE TABLE outbox (
    message_id TEXT   NOT NULL PRIMARY KEY,
    sender     TEXT   NOT NULL,
    recipients TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    message    TEXT   NOT NULL,
    run_id     TEXT   NOT NULL,
    job        TEXT   NOT NULL,
    queued_at  BIGINT NOT NULL,
    tries      BIGINT NOT NULL,
    last_error TEXT,
    next_try   BIGINT NOT NULL,
    sent_at    BIGINT
);

CREATE INDEX outbox_waiting ON outbox (next_try) WHERE sent_at IS NULL;

-- Slots of schedules that were dealt with: by a run, or skipped with a reason. The run is inserted after its slot.
CREATE TABLE slots (
    dag        TEXT   NOT NULL,
    slot       BIGINT NOT NULL,
    run_id     TEXT REFERENCES runs (run_id) DEFERRABLE INITIALLY DEFERRED,
    skipped    TEXT,
    decided_at BIGINT NOT NULL,
    PRIMARY KEY (dag, slot)
);

-- The last slot that each DAG's schedule has dealt with.
CREATE TABLE watermarks (
    dag  TEXT   NOT NULL PRIMARY KEY,
    slot BIGINT NOT NULL
);

-- Schedulers and until when each is believed to live.
CREATE TABLE schedulers (
    owner       TEXT   NOT NULL PRIMARY KEY,
    alive_until BIGINT NOT NULL
);

-- The audit log: each entry's hash covers the one before, so nothing can be changed or taken out unseen.
CREATE TABLE audit_log (
    seq     BIGINT NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    run_id  TEXT,
    job     TEXT,
    attempt BIGINT,
    entry   TEXT   NOT NULL,
    hash    TEXT   NOT NULL
);

-- The end of the audit log; its one row makes writers wait for each other, and shows when entries at the end are gone.
CREATE TABLE audit_head (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    seq      BIGINT NOT NULL,
    hash     TEXT   NOT NULL
);

INSERT INTO audit_head (only_row, seq, hash) VALUES (1, 0, '');
